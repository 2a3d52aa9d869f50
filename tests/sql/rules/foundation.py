"""What every judge stands on: the schema's own tables, and the owner's own functions."""

from __future__ import annotations

from tests.sql.rules.rule_checker import NO_PRIVILEGE, RuleChecker, rule
from tests.sql.rules.shapes import checks

TAKEN = ("23505", "user_events_seq")


@rule()
async def a_guard_reads_no_temporary_table_of_the_same_name(checker: RuleChecker) -> None:
    """HX301 although the session shows an accepted proof of its own making."""
    await checker.does("create temp table proofs (task_id uuid, state text)")
    await checker.does("create temp table lifecycle (machine text, from_state text, to_state text)")
    await checker.does("insert into pg_temp.proofs values ({submitted}, 'ACCEPTED')")
    await checker.does("insert into pg_temp.lifecycle values ('task', 'OPEN', 'WORKING')")
    try:
        await checker.refuses(
            ("HX301", "INV-3"), "update tasks set state = 'COMPLETED' where id = {submitted}"
        )
        await checker.refuses(
            ("HX010", "TRANSITION"),
            "update tasks set state = 'WORKING', started_at = hx_clock() where id = {open}",
        )
    finally:
        await checker.does("drop table pg_temp.proofs, pg_temp.lifecycle")


@rule()
async def the_service_makes_no_trigger_of_the_owner_s_functions(checker: RuleChecker) -> None:
    """42501: through one that writes as the owner it could forge the audit trail or the journal."""
    await checker.does("create temp table forged (id uuid, state text)")
    trigger = (
        "create trigger forge after insert on pg_temp.forged for each row"
        " execute function task_transition_audit()"
    )
    try:
        if checker.role == "app":
            await checker.refuses(NO_PRIVILEGE, trigger)
        else:
            await checker.allows(trigger)
    finally:
        await checker.does("drop table pg_temp.forged")


@rule("user_events.user_event_guard")
async def an_event_has_the_number_after_its_user_s_last(checker: RuleChecker) -> None:
    """23505 for a number given before, in whichever month, and for one that leaves a gap."""
    reader, other = [await checker.market.user("poster") for _ in range(2)]
    events = (
        "insert into user_events (user_id, seq, at, type, data)"
        " select $1, s.seq, hx_clock() + $3::text::interval * s.n, 'X', '{{}}'"
        " from unnest($2::bigint[]) with ordinality as s (seq, n)"
    )
    if checker.role == "app":
        await checker.refuses(NO_PRIVILEGE, events, reader, [1], "0")
        return
    await checker.does(events, reader, [1, 2], "0")
    for away in ("1 second", "1 month", "-3 years"):
        for numbers in ([1], [2], [4], [2, 3], [3, 3], [3, 5], [3, 3, 5]):
            await checker.refuses(TAKEN, events, reader, numbers, away)
        await checker.allows(events, reader, [4, 3], away)
    await checker.allows(events, other, [1], "0")


checks(
    "broadcasts_counted",
    (
        "broadcasts_counted_one_row",
        "update broadcasts_counted set singleton = false",
        "update broadcasts_counted set until = hx_clock()",
    ),
)
