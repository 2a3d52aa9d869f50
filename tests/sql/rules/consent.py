"""Consent and reach: nobody holds a task without a yes just said, nor is offered what lies too far."""

from __future__ import annotations

from engine.kernel.ids import TaskId, UserId
from tests.sql.rules.rule_checker import RuleChecker, rule
from tests.sql.rules.shapes import references

CONSENT = ("HX010", "LIVE-7")
BUSY = ("HX014", "BUSY")
ELIGIBILITY = ("HX012", "ELIGIBILITY")
TRANSITION = ("HX010", "TRANSITION")
GROWS = ("HX801", "AUDIT-5")

references("acceptances", ("acceptances_task", "task_id"), ("acceptances_hustler", "hustler_id"))

ACCEPT = "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1"
SAYS_YES = "insert into acceptances (task_id, hustler_id) values ($1, $2)"
ANSWERS = (
    "update offers set response = 'ACCEPT', responded_at = hx_clock() + $3::text::interval"
    " where task_id = $1 and hustler_id = $2"
)


@rule("acceptances.acceptances_append_only")
async def a_yes_is_on_record_for_good(checker: RuleChecker) -> None:
    """HX801."""
    for statement in ("delete from acceptances", "update acceptances set said_at = hx_clock()"):
        await checker.refuses(GROWS, statement)
        await checker.refuses(GROWS, f"{statement} where false")
    if checker.role == "owner":
        await checker.refuses(GROWS, "truncate acceptances")
    await checker.allows("select from acceptances")


@rule("acceptances.acceptance_stamp")
async def a_yes_is_said_when_it_is_written(checker: RuleChecker) -> None:
    """Whatever time its writer claims."""
    said = await checker.value(
        "insert into acceptances (task_id, hustler_id, said_at)"
        " values ({open}, {hustler}, hx_clock() + interval '1 year')"
        " returning said_at between hx_clock() - interval '5 seconds' and hx_clock()"
    )
    assert said is True, "a yes of next year"


@rule("tasks.task_accept_guard")
async def a_standard_task_is_accepted_only_with_a_yes_just_said(checker: RuleChecker) -> None:
    """HX010 (LIVE-7) without one, with another's, with one for another task, and with an old one."""
    market = checker.market
    task, other = await market.funded("STANDARD"), await market.funded("STANDARD")
    hustler, stranger = await market.user("hustler"), await market.user("hustler")
    await checker.refuses(CONSENT, ACCEPT, task, hustler)
    await checker.does(SAYS_YES, task, stranger)
    await checker.does(SAYS_YES, other, hustler)
    await checker.refuses(CONSENT, ACCEPT, task, hustler)
    async with checker.behind("acceptances.acceptance_stamp") as alone:
        for said_at in ("-11 seconds", "5 seconds"):
            await alone.does(
                "insert into acceptances (task_id, hustler_id, said_at)"
                " values ($1, $2, hx_clock() + $3::text::interval)",
                task,
                hustler,
                said_at,
            )
        await alone.refuses(CONSENT, ACCEPT, task, hustler)
        await alone.does(
            "insert into acceptances (task_id, hustler_id, said_at) values ($1, $2, hx_clock())",
            task,
            hustler,
        )
        await alone.allows(ACCEPT, task, hustler)
    await checker.does(SAYS_YES, task, hustler)
    await checker.allows(ACCEPT, task, hustler)


@rule("tasks.task_accept_guard")
async def a_live_task_is_accepted_only_with_an_offer_just_answered(checker: RuleChecker) -> None:
    """HX010 (LIVE-7) for an open offer, a skip, and an answer of long ago or of the future."""
    market = checker.market
    task = await market.funded()
    hustler = await market.offered(task)
    await checker.refuses(CONSENT, ACCEPT, task, hustler)
    await checker.does(SAYS_YES, task, hustler)
    await checker.refuses(CONSENT, ACCEPT, task, hustler)
    async with checker.behind() as alone:
        await alone.does(ANSWERS.replace("'ACCEPT'", "'SKIP'"), task, hustler, "0 s")
        await alone.refuses(CONSENT, ACCEPT, task, hustler)
    for said_at in ("-11 seconds", "5 seconds"):
        async with checker.behind() as alone:
            await alone.does(ANSWERS, task, hustler, said_at)
            await alone.refuses(CONSENT, ACCEPT, task, hustler)
    async with checker.behind() as alone:
        await alone.does(ANSWERS, task, hustler, "0 s")
        await alone.allows(ACCEPT, task, hustler)


@rule("tasks.task_accept_guard")
async def nobody_busy_accepts_another_task(checker: RuleChecker) -> None:
    """HX014 from a plain UPDATE too: at work on any task, or on the way to a LIVE one."""
    market = checker.market
    task, live = await market.funded("STANDARD"), await market.funded()
    _, working = await market.working("STANDARD")
    _, driving = await market.accepted()
    for hustler in (working, driving):
        await checker.does(SAYS_YES, task, hustler)
        await checker.refuses(BUSY, ACCEPT, task, hustler)
    await market.commands.live.go_live(working, None, None)
    for hustler in (working, driving):
        await market.offer(live, hustler)
        await checker.refuses(BUSY, ACCEPT, live, hustler)


@rule("tasks.task_accept_guard")
async def nobody_holds_six_standard_tasks(checker: RuleChecker) -> None:
    """HX014 for the sixth that is still open; a LIVE one is no STANDARD one."""
    market = checker.market
    hustler = await market.user("hustler")
    for count in range(5):
        task = await market.funded("STANDARD")
        await checker.does(SAYS_YES, task, hustler)
        await checker.allows(ACCEPT, task, hustler)
        if count < 4:
            await market.commands.live.accept(hustler, task)
    await market.commands.live.accept(hustler, task)
    sixth = await market.funded("STANDARD")
    await checker.does(SAYS_YES, sixth, hustler)
    await checker.refuses(BUSY, ACCEPT, sixth, hustler)
    live = await market.funded()
    await market.commands.live.go_live(hustler, None, None)
    await market.offer(live, hustler)
    async with checker.behind() as alone:
        await alone.does(ANSWERS, live, hustler, "0 s")
        await alone.allows(ACCEPT, live, hustler)


@rule("tasks.task_accept_guard")
async def nothing_is_accepted_past_its_deadline(checker: RuleChecker) -> None:
    """HX010: it bounds the accept of a STANDARD task, swept or not."""
    market = checker.market
    task, hustler = await market.task("STANDARD"), await market.user("hustler")
    set_to = "update tasks set deadline = hx_clock() + $2::text::interval where id = $1"
    await checker.does(set_to, task, "1 hour")
    await market.commands.money.fund(await market.poster_of(task), task)
    await checker.does(SAYS_YES, task, hustler)
    await checker.allows(ACCEPT, task, hustler)
    async with checker.behind("tasks.task_terms_guard") as alone:
        await alone.does(set_to, task, "-1 second")
        await alone.refuses(TRANSITION, ACCEPT, task, hustler)


OFFER = (
    "insert into offers (broadcast_id, hustler_id, task_id, distance_miles, matching_score%s)"
    " values ($1, $2, $3, $4, 0.8%s)"
)


@rule("offers.offer_reach_guard")
async def nobody_is_offered_what_lies_beyond_the_radius(checker: RuleChecker) -> None:
    """HX012 (LIVE-4): by the radius of now, to the rounded place and what it is away from the exact."""
    market = checker.market
    task = await market.funded()
    broadcast, hustler = await market.broadcast_of(task), await market.live_hustler()
    plain = OFFER % ("", "")
    away = await checker.value(
        "select miles_between(location_lat, location_lng, place_lat, place_lng)"
        " from tasks where id = $1",
        task,
    )
    assert isinstance(away, float)
    for miles in (500.0, 4.0, 3.001 + away):
        await checker.refuses(ELIGIBILITY, plain, broadcast, hustler, task, miles)
    for miles in (0.0, 3.0, 2.999 + away):
        await checker.allows(plain, broadcast, hustler, task, miles)
    async with checker.behind("live_broadcasts.live_broadcast_guard") as alone:
        await alone.does(
            "update live_broadcasts set started_at = started_at - interval '61 seconds'"
            " where id = $1",
            broadcast,
        )
        await alone.refuses(ELIGIBILITY, plain, broadcast, hustler, task, 5.2)
        await alone.allows(plain, broadcast, hustler, task, 4.999 + away)
    far = (
        "insert into offers (broadcast_id, hustler_id, task_id, distance_miles, matching_score)"
        " select $1, h.id, $2, h.miles, 0.8"
        " from (values ($3::uuid, 1.0), (gen_random_uuid(), 500.0)) as h (id, miles)"
    )
    await checker.refuses(ELIGIBILITY, far, broadcast, task, hustler)


@rule("offers.offer_reach_guard")
async def an_offer_is_of_its_broadcast_s_task_and_born_unanswered(checker: RuleChecker) -> None:
    """HX010: an answer is the hustler's own act, and no offer is of nothing."""
    market = checker.market
    task = await market.funded()
    broadcast, hustler = await market.broadcast_of(task), await market.live_hustler()
    answered = OFFER % (", response, responded_at", ", 'ACCEPT', hx_clock()")
    await checker.refuses(TRANSITION, answered, broadcast, hustler, task, 1.0)
    other: TaskId = await market.funded()
    await checker.refuses(TRANSITION, OFFER % ("", ""), broadcast, hustler, other, 1.0)
    nowhere: UserId = hustler
    await checker.refuses(TRANSITION, OFFER % ("", ""), nowhere, hustler, task, 1.0)
    await checker.allows(OFFER % ("", ""), broadcast, hustler, task, 1.0)
