"""How it is known that a hustler came."""

from __future__ import annotations

from tests.sql.rules.rule_checker import RuleChecker, rule
from tests.sql.rules.shapes import checks, references

NOT_THERE = ("HX010", "ARRIVAL")
GROWS = ("HX801", "AUDIT-5")

COMES = "insert into arrivals (task_id, hustler_id, evidence, at) values ($1, $2, $3, hx_clock())"
SEEN = (
    "insert into arrivals (task_id, hustler_id, evidence, at, distance_m, fixed_at)"
    " values ({held}, {held_hustler}, 'POSITION', hx_clock(), %s,"
    " hx_clock() - interval '%s')"
)

checks(
    "arrivals",
    (
        "arrivals_evidence",
        "evidence = 'WORD' where evidence = 'START_CODE'",
        "evidence = 'COMPLETION_CODE' where evidence = 'START_CODE'",
    ),
    (
        "arrivals_position",
        "distance_m = 1 where evidence = 'START_CODE'",
        "evidence = 'CLAIM' where evidence = 'START_CODE'",
    ),
)
references("arrivals", ("arrivals_task", "task_id"), ("arrivals_hustler", "hustler_id"))


@rule("arrivals.arrivals_position")
async def a_position_shows_an_arrival_within_150_m_and_5_minutes(checker: RuleChecker) -> None:
    """Its distance and its moment are known, and no other evidence has them."""
    far = ("23514", "arrivals_position")
    await checker.refuses(far, SEEN % ("150.1", "1 second"))
    await checker.refuses(far, SEEN % ("-1", "1 second"))
    await checker.refuses(far, SEEN % ("null", "1 second"))
    await checker.refuses(far, SEEN % ("1", "301 seconds"))
    await checker.refuses(far, SEEN % ("1", "-10 seconds"))
    await checker.refuses(far, (SEEN % ("1", "1 second")).replace("POSITION", "START_CODE"))
    await checker.allows(SEEN % ("150", "299 seconds"))


@rule("arrivals.arrival_guard")
async def only_who_is_on_the_way_arrives(checker: RuleChecker) -> None:
    """HX010: the hustler of a task in ACCEPTED, by now; the completion code is given later too."""
    task, hustler = await checker.market.accepted()
    other = await checker.market.user("hustler")
    await checker.refuses(NOT_THERE, COMES, task, other, "START_CODE")
    await checker.refuses(
        NOT_THERE, COMES.replace("hx_clock()", "hx_clock() + interval '1 minute'"),
        task, hustler, "START_CODE",
    )  # fmt: skip
    for evidence in ("START_CODE", "COMPLETION_CODE", "CLAIM"):
        await checker.allows(COMES, task, hustler, evidence)
    busy, worker = await checker.market.working()
    await checker.refuses(NOT_THERE, COMES, busy, worker, "CLAIM")
    await checker.allows(COMES, busy, worker, "COMPLETION_CODE")
    done, doer = await checker.market.submitted()
    await checker.refuses(NOT_THERE, COMES, done, doer, "COMPLETION_CODE")


@rule("tasks.task_marks_guard")
async def nobody_has_come_on_the_hustler_s_word_alone(checker: RuleChecker) -> None:
    """HX010: an arrival needs its evidence, and a start the start code."""
    task, hustler = await checker.market.accepted()
    arrive = "update tasks set arrived_at = coalesce($2, hx_clock()) where id = $1"
    start = "update tasks set state = 'WORKING', started_at = $2 where id = $1"
    await checker.refuses(NOT_THERE, arrive, task, None)
    claimed = await checker.value(f"{COMES} returning at", task, hustler, "CLAIM")
    await checker.refuses(NOT_THERE, arrive, task, claimed)
    seen = await checker.value(f"{COMES} returning at", task, hustler, "COMPLETION_CODE")
    await checker.refuses(NOT_THERE, arrive, task, None)
    await checker.allows(arrive, task, seen)
    await checker.refuses(NOT_THERE, start, task, seen)
    met = await checker.value(f"{COMES} returning at", task, hustler, "START_CODE")
    await checker.allows(start, task, met)
    other, _ = await checker.market.accepted()
    await checker.refuses(NOT_THERE, arrive, other, met)


@rule("proofs.proof_guard")
async def a_picture_from_afar_is_no_proof(checker: RuleChecker) -> None:
    """HX010: photos, and no proof at all, are handed in once the hustler has come."""
    new = "insert into proofs (task_id, hustler_id, kind, state) values ($1, $2, $3, $4)"
    far, hustler = await checker.market.accepted(requires_proof=False)
    await checker.refuses(NOT_THERE, new, far, hustler, "NONE", "SUBMITTED")
    await checker.refuses(NOT_THERE, new, far, hustler, "PHOTOS", "SUBMITTED")
    await checker.allows(new, far, hustler, "PHOTOS", "PENDING")
    await checker.allows(new, far, hustler, "CODE", "SUBMITTED")
    await checker.market.arrive(hustler, far)
    await checker.allows(new, far, hustler, "NONE", "SUBMITTED")
    near, worker = await checker.market.working(requires_proof=False)
    await checker.allows(new, near, worker, "NONE", "SUBMITTED")


@rule("arrivals.arrivals_append_only")
async def how_somebody_came_stays_on_record(checker: RuleChecker) -> None:
    """HX801 for every change."""
    for statement in ("delete from arrivals", "update arrivals set evidence = 'CLAIM'"):
        await checker.refuses(GROWS, statement)
        await checker.refuses(GROWS, f"{statement} where false")
    if checker.role == "owner":
        await checker.refuses(GROWS, "truncate arrivals")
