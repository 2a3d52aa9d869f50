"""LIVE mode: status, sessions, broadcasts and offers."""

from __future__ import annotations

from tests.sql.rules.rule_checker import RuleChecker, rule
from tests.sql.rules.shapes import checks, references, shape, uniques

TRANSITION = ("HX010", "TRANSITION")
REST = ("HX601", "LIVE-REST")

checks(
    "live_sessions",
    (
        "live_sessions_end_reason",
        "ended_at = hx_clock(), end_reason = 'BORED'",
        "ended_at = hx_clock(), end_reason = 'FORCED'",
    ),
    (
        "live_sessions_ended",
        "ended_at = hx_clock(), end_reason = null",
        "ended_at = null, end_reason = null",
    ),
    (
        "live_sessions_impossible",
        "ended_at = hx_clock(), end_reason = 'OFFLINE', impossible_positions = true",
        "ended_at = hx_clock(), end_reason = 'FORCED', impossible_positions = true",
    ),
)
references("live_sessions", ("live_sessions_user", "user_id"), writer="owner")
uniques(
    "live_sessions",
    (
        "one_open_live_session_per_user",
        "insert into live_sessions (user_id) values ({live_hustler})",
        "insert into live_sessions (user_id) values ({poster})",
    ),
)
checks(
    "live_status",
    ("live_status_radius", "radius_miles = 26", "radius_miles = 25"),
    ("live_status_categories", "categories = array[]::text[]", "categories = null"),
    ("live_status_cooldown_reason", "cooldown_reason = 'MOOD'", "cooldown_reason = 'ADMIN'"),
    (
        "live_status_since",
        "active_since = hx_clock() where session_id is null",
        "active_since = hx_clock() where session_id is not null",
    ),
)
references(
    "live_status",
    ("live_status_user", "user_id"),
)
FIX = "insert into last_fixes (user_id, lat, lng, accuracy_m, fixed_at) values (%s, %s, hx_clock())"
shape(
    "last_fixes",
    ("23514", "last_fixes_place"),
    FIX % ("{hustler}", "91, 0, 5"),
    FIX % ("{hustler}", "90, 0, 5"),
)
shape(
    "last_fixes",
    ("23503", "last_fixes_user"),
    FIX % ("gen_random_uuid()", "1, 1, 0"),
    FIX % ("{hustler}", "1, 1, 0"),
)
checks(
    "live_broadcasts",
    (
        "live_broadcasts_state",
        "state = 'PAUSED' where state = 'EXPIRED'",
        "state = 'EXPIRED' where state <> 'ACTIVE'",
    ),
    ("live_broadcasts_ended", "ended_at = null", "state = 'ACTIVE', ended_at = null where false"),
    (
        "live_broadcasts_ttl",
        "expires_at = started_at",
        "expires_at = started_at + interval '1 s'",
    ),
    ("live_broadcasts_plan", "max_radius_miles = 26", "max_radius_miles = 25"),
)
references("live_broadcasts", ("live_broadcasts_task", "task_id"))
uniques(
    "live_broadcasts",
    (
        "one_active_broadcast_per_task",
        "state = 'ACTIVE', ended_at = null, task_id = {live}",
        "state = 'EXPIRED', ended_at = hx_clock(), task_id = {live}",
    ),
)
checks(
    "offers",
    ("offers_score", "matching_score = 1.01", "matching_score = 1"),
    ("offers_distance", "distance_miles = -1", "distance_miles = 0"),
    (
        "offers_response",
        "response = 'MAYBE', responded_at = hx_clock()",
        "response = 'SKIP', responded_at = hx_clock()",
    ),
    ("offers_responded", "response = null, responded_at = hx_clock()", "sent_at = hx_clock()"),
)


@rule("live_status.live_status_session")
async def a_status_names_a_session_that_exists(checker: RuleChecker) -> None:
    """23503 for one that is nowhere."""
    async with checker.behind("live_status") as alone:
        change = "update live_status set session_id = %s where user_id = {live_hustler}"
        await alone.refuses(("23503", "live_status_session"), change % "gen_random_uuid()")
        await alone.allows(change % "session_id")


@rule("live_status.live_toggle_guard")
async def live_mode_is_not_switched_on_while_banned_or_twice_in_five_minutes(
    checker: RuleChecker,
) -> None:
    """HX905 and HX904; a return after OFFLINE is no toggle."""
    hustler = await checker.market.live_hustler()
    back = (
        "with s as (insert into live_sessions (user_id) values ($1) returning id)"
        " update live_status set session_id = s.id, active_since = hx_clock() from s"
        " where user_id = $1"
    )
    await checker.market.commands.live.end(hustler, "OFFLINE")
    await checker.allows(back, hustler)
    await checker.market.commands.live.go_live(hustler, None, None)
    await checker.market.commands.live.end(hustler, "MANUAL")
    await checker.refuses(("HX904", "LIVE-TOGGLE"), back, hustler)
    banned = await checker.market.user("hustler")
    await checker.does(
        "update live_status set banned_until = hx_clock() + interval '1 day' where user_id = $1",
        banned,
    )
    await checker.refuses(("HX905", "LIVE-BAN"), back, banned)


@rule("live_status.live_status_guard")
async def a_ban_is_never_shortened_and_a_session_is_one_s_own_open_one(
    checker: RuleChecker,
) -> None:
    """HX905 for a ban lifted without an admin's act; HX903 for a session that is over or another's."""
    market = checker.market
    hustler, other = await market.live_hustler(), await market.live_hustler()
    ban = "update live_status set banned_until = hx_clock() + $2::text::interval where user_id = $1"
    await checker.does(ban, hustler, "2 days")
    await checker.refuses(("HX905", "LIVE-BAN"), ban, hustler, "1 day")
    await checker.refuses(
        ("HX905", "LIVE-BAN"),
        "update live_status set banned_until = null where user_id = $1",
        hustler,
    )
    await checker.allows(ban, hustler, "3 days")
    act = (
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason)"
        f" values ({{admin}}, 'LIFT_LIVE_BAN', 'user', '{hustler}', 'A mistake.')"
    )
    lift = f"update live_status set banned_until = null where user_id = '{hustler}'"
    await checker.allows_commit(act, lift)
    async with checker.behind() as alone:
        await alone.does(act.replace(str(hustler), str(other)))
        await alone.refuses(("HX905", "LIVE-BAN"), lift)
    await checker.does(act)
    await checker.refuses(("HX905", "LIVE-BAN"), lift)

    take = (
        "update live_status set session_id = (select session_id from live_status"
        " where user_id = $2), active_since = hx_clock() where user_id = $1"
    )
    idle = await market.user("hustler")
    await checker.refuses(("HX903", "LIVE-3"), take, idle, other)
    await checker.refuses(("HX903", "LIVE-3"), take, hustler, other)
    await market.commands.live.end(other, "OFFLINE")
    await checker.refuses(
        ("HX903", "LIVE-3"),
        "update live_status set active_since = hx_clock(), session_id ="
        " (select id from live_sessions where user_id = $1) where user_id = $1",
        other,
    )


@rule("live_status.live_status_guard")
async def a_cooldown_is_shortened_by_an_admin_alone_and_a_pause_by_nobody(
    checker: RuleChecker,
) -> None:
    """HX601; longer is always allowed, and an act on somebody else is no act on this one."""
    hustler, other = await checker.market.live_hustler(), await checker.market.live_hustler()
    until = "update live_status set %s = hx_clock() + interval '%s' where user_id = '%s'"
    none = "update live_status set %s = null where user_id = '%s'"
    act = (
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason)"
        " values ({admin}, '%s', 'user', '%s', 'Asked for.')"
    )
    for column in ("cooldown_until", "paused_until"):
        await checker.does(until % (column, "1 hour", hustler))
        await checker.refuses(REST, until % (column, "59 minutes", hustler))
        await checker.refuses(REST, none % (column, hustler))
        await checker.allows(until % (column, "2 hours", hustler))
    end = none % ("cooldown_until", hustler)
    await checker.allows_commit(act % ("LIVE_END_COOLDOWN", hustler), end)
    for wrong in (act % ("LIVE_END_COOLDOWN", other), act % ("LIFT_LIVE_BAN", hustler)):
        async with checker.behind() as alone:
            await alone.does(wrong)
            await alone.refuses(REST, end)
    await checker.does(act % ("LIVE_END_COOLDOWN", hustler))
    await checker.refuses(REST, end)


@rule("live_status.live_status_shift")
async def a_shift_belongs_to_the_person_and_runs_by_the_clock(checker: RuleChecker) -> None:
    """HX601 for who writes it; off and on within half an hour continues it, whoever switches."""
    hustler = await checker.market.live_hustler()
    for change in ("shift_since = null", "shift_since = hx_clock()", "off_since = hx_clock()"):
        await checker.refuses(REST, f"update live_status set {change} where user_id = $1", hustler)
    await checker.does("update live_status set radius_miles = 3 where user_id = $1", hustler)
    await checker.market.commands.live.end(hustler, "OFFLINE")
    await checker.holds("select off_since is not null from live_status where user_id = $1", hustler)
    back = (
        "with s as (insert into live_sessions (user_id) values ($1) returning id)"
        " update live_status set session_id = s.id,"
        " active_since = hx_clock() + interval '1 day' from s where user_id = $1"
    )
    await checker.does(back, hustler)
    await checker.holds(
        "select s.off_since is null and s.shift_since < l.started_at"
        " and s.active_since <= hx_clock()"
        " from live_status as s inner join live_sessions as l on l.id = s.session_id"
        " where s.user_id = $1",
        hustler,
    )


@rule("live_status.live_status_timer")
async def every_change_that_time_will_make_of_a_live_state_has_its_timer(
    checker: RuleChecker,
) -> None:
    """The warning after three hours of a session; the end of a cooldown, written by hand too."""
    hustler = await checker.market.live_hustler()
    due = (
        "select due_at - hx_clock() between $2::text::interval - interval '1 minute'"
        " and $2::text::interval from timers where kind = 'LIVE_STATE' and subject = $1"
    )
    await checker.holds(due, hustler, "3 hours")
    await checker.does(
        "update live_status set cooldown_until = hx_clock() + interval '1 hour' where user_id = $1",
        hustler,
    )
    await checker.holds(due, hustler, "1 hour")
    await checker.market.commands.live.end(hustler, "OFFLINE")
    await checker.holds("select not exists (select from timers where subject = $1)", hustler)


@rule("live_sessions.live_session_guard")
async def a_session_that_ended_stays_ended_as_it_did(checker: RuleChecker) -> None:
    """HX801: how it ended decides whether LIVE may be switched on again (HX904)."""
    hustler = await checker.market.live_hustler()
    await checker.market.commands.live.end(hustler, "MANUAL")
    for change in (
        "end_reason = 'OFFLINE'",
        "ended_at = null, end_reason = null",
        "end_reason = 'FORCED', impossible_positions = true",
    ):
        await checker.refuses(
            ("HX801", "AUDIT-5"), f"update live_sessions set {change} where user_id = $1", hustler
        )
    await checker.allows("update live_sessions set tasks_declined = 1 where user_id = $1", hustler)
    other = await checker.market.live_hustler()
    await checker.allows(
        "update live_sessions set ended_at = hx_clock(), end_reason = 'FORCED' where user_id = $1",
        other,
    )


BROADCAST = (
    "insert into live_broadcasts (task_id, expires_at, initial_radius_miles, max_radius_miles,"
    " expansion_step_miles, expansion_interval_s%s)"
    " values ($1, hx_clock() + interval '10 minutes', 3, 10, 2, 60%s)"
)


@rule("live_broadcasts.live_broadcast_requires_funded_escrow")
async def no_broadcast_starts_without_a_funded_escrow(checker: RuleChecker) -> None:
    """HX901 (LIVE-1); HX010 for what is not waiting in LIVE mode, or born as if it were over."""
    new = BROADCAST % ("", "")
    await checker.refuses(("HX901", "LIVE-1"), new.replace("$1", "{unfunded}"))
    await checker.refuses(("HX901", "LIVE-1"), new.replace("$1", "{refunded}"))
    await checker.refuses(TRANSITION, new.replace("$1", "{open}"))
    await checker.refuses(TRANSITION, new.replace("$1", "{rushed}"))
    won = BROADCAST % (
        ", state, ended_at, accepted_by",
        ", 'ACCEPTED', hx_clock(), {hustler}",
    )
    await checker.refuses(TRANSITION, won.replace("$1", "{over}"))
    await checker.allows(new.replace("$1", "{over}"))
    await checker.holds(
        "select bool_and(b.partition = t.partition) from live_broadcasts as b"
        " inner join tasks as t on t.id = b.task_id"
    )
    shut = await checker.market.funded("LIVE")
    await checker.market.owner.execute(
        "update users set account_status = 'SUSPENDED' where id = $1",
        await checker.market.poster_of(shut),
    )
    await checker.refuses(("HX503", "PERMISSION"), new, shut)


@rule("live_broadcasts.live_broadcast_guard")
async def a_broadcast_stays_what_it_was_started_as_and_once_over_is_over(
    checker: RuleChecker,
) -> None:
    """HX010: no other task, no longer life, no wider plan, no second life, no forged winner."""
    for change in (
        "id = gen_random_uuid()",
        "task_id = {over}",
        "started_at = started_at - interval '1 hour'",
        "expires_at = expires_at + interval '1 hour'",
        "initial_radius_miles = 9",
        "max_radius_miles = 25",
        "expansion_step_miles = 9",
        "expansion_interval_s = 1",
        "partition = partition + 1",
        "accepted_by = {hustler}",
        "state = 'ACCEPTED', ended_at = hx_clock()",
        "state = 'ACCEPTED', ended_at = hx_clock(), accepted_by = {held_hustler}",
        "state = 'EXPIRED', ended_at = hx_clock(), accepted_by = {hustler}",
    ):
        await checker.refuses(
            TRANSITION, f"update live_broadcasts set {change} where id = {{live_broadcast}}"
        )
    for change in ("state = 'ACTIVE', ended_at = null", "accepted_by = {hustler}"):
        await checker.refuses(
            TRANSITION, f"update live_broadcasts set {change} where task_id = {{over}}"
        )
    await checker.refuses(
        TRANSITION, "update live_broadcasts set accepted_by = {hustler} where task_id = {rushed}"
    )
    await checker.allows(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock()"
        " where id = {live_broadcast}"
    )


@rule("offers.offer_guard")
async def an_answer_to_an_offer_is_final(checker: RuleChecker) -> None:
    """HX010: a decline is not undone and no offer moves; a skip is neutral (design §2)."""
    task = await checker.market.funded()
    hustler = await checker.market.offered(task)
    answer = (
        "update offers set response = $3, responded_at = hx_clock()"
        " where task_id = $1 and hustler_id = $2"
    )
    await checker.does(answer, task, hustler, "SKIP")
    await checker.does(answer, task, hustler, "DECLINE")
    await checker.refuses(TRANSITION, answer, task, hustler, "ACCEPT")
    await checker.refuses(
        TRANSITION,
        "update offers set response = null, responded_at = null where task_id = $1",
        task,
    )
    for column in ("broadcast_id", "hustler_id", "task_id"):
        await checker.refuses(
            TRANSITION, f"update offers set {column} = gen_random_uuid() where task_id = $1", task
        )
    await checker.refuses(
        TRANSITION, "update offers set distance_miles = 500 where task_id = $1", task
    )
    await checker.allows("update offers set sent_at = hx_clock() where task_id = $1", task)


@rule("escrows.escrow_leaving_funded_ends_broadcast")
async def an_escrow_that_leaves_funded_ends_its_broadcast(checker: RuleChecker) -> None:
    """LIVE-1 in the same transaction; escrow_transition_guard, which would refuse it, sleeps."""
    async with checker.behind("escrows.escrow_transition_guard") as alone:
        await alone.does(
            "update escrows set state = 'REFUNDED', refund_amount = amount,"
            " stripe_refund_id = 're_1' where id = {live_escrow}"
        )
        await alone.holds(
            "select state = 'CANCELLED' from live_broadcasts where id = {live_broadcast}"
        )


@rule("tasks.task_leaving_matching_ends_broadcast")
async def a_task_that_leaves_matching_ends_its_broadcast(checker: RuleChecker) -> None:
    """Whoever moved it: CANCELLED, or ACCEPTED with the winner."""
    market = checker.market
    state = "select state = $2 from live_broadcasts where task_id = $1"
    cancelled, won = await market.funded(), await market.funded()
    await checker.does("update tasks set state = 'CANCELLED' where id = $1", cancelled)
    await checker.holds(state, cancelled, "CANCELLED")
    hustler = await market.offered(won)
    await checker.does(
        "update offers set response = 'ACCEPT', responded_at = hx_clock() where task_id = $1", won
    )
    await checker.does(
        "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1", won, hustler
    )
    await checker.holds(state, won, "ACCEPTED")
    await checker.holds(
        "select accepted_by = $2 from live_broadcasts where task_id = $1", won, hustler
    )
    async with checker.behind("tasks.task_transition_guard") as alone:
        await alone.does("update tasks set state = 'EXPIRED' where id = {live}")
        await alone.holds(state.replace("$1", "{live}").replace("$2", "'EXPIRED'"))
