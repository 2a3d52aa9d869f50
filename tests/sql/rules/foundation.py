"""What every judge stands on: the schema's own tables, and the owner's own functions."""

from __future__ import annotations

from tests.sql.rules.judge import NO_PRIVILEGE, Judge, rule

TAKEN = ("23505", "user_events_seq")


@rule()
async def a_judge_reads_no_temporary_table_of_the_same_name(judge: Judge) -> None:
    """HX301 although the session shows an accepted proof of its own making."""
    await judge.does("create temp table proofs (task_id uuid, state text)")
    await judge.does("create temp table lifecycle (machine text, from_state text, to_state text)")
    await judge.does("insert into pg_temp.proofs values ({submitted}, 'ACCEPTED')")
    await judge.does("insert into pg_temp.lifecycle values ('task', 'OPEN', 'WORKING')")
    try:
        await judge.refuses(
            ("HX301", "INV-3"), "update tasks set state = 'COMPLETED' where id = {submitted}"
        )
        await judge.refuses(
            ("HX010", "TRANSITION"),
            "update tasks set state = 'WORKING', started_at = hx_clock() where id = {open}",
        )
    finally:
        await judge.does("drop table pg_temp.proofs, pg_temp.lifecycle")


@rule()
async def the_service_makes_no_trigger_of_the_owner_s_functions(judge: Judge) -> None:
    """42501: through one that writes as the owner it could forge the audit trail or the journal."""
    await judge.does("create temp table forged (id uuid, state text)")
    trigger = (
        "create trigger forge after insert on pg_temp.forged for each row"
        " execute function task_transition_audit()"
    )
    try:
        if judge.role == "app":
            await judge.refuses(NO_PRIVILEGE, trigger)
        else:
            await judge.allows(trigger)
    finally:
        await judge.does("drop table pg_temp.forged")


@rule("user_events.user_event_guard")
async def an_event_has_the_number_after_its_user_s_last(judge: Judge) -> None:
    """23505 for a number given before, in whichever month, and for one that leaves a gap."""
    reader, other = [await judge.market.user("poster") for _ in range(2)]
    events = (
        "insert into user_events (user_id, seq, at, type, data)"
        " select $1, s.seq, hx_clock() + $3::text::interval * s.n, 'X', '{{}}'"
        " from unnest($2::bigint[]) with ordinality as s (seq, n)"
    )
    if judge.role == "app":
        await judge.refuses(NO_PRIVILEGE, events, reader, [1], "0")
        return
    await judge.does(events, reader, [1, 2], "0")
    for away in ("1 second", "1 month", "-3 years"):
        for numbers in ([1], [2], [4], [2, 3], [3, 3], [3, 5], [3, 3, 5]):
            await judge.refuses(TAKEN, events, reader, numbers, away)
        await judge.allows(events, reader, [4, 3], away)
    await judge.allows(events, other, [1], "0")
