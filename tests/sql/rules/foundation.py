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
async def no_two_events_of_a_user_have_one_number(judge: Judge) -> None:
    """23505 in whichever month, though each partition has an index of its own; the service writes none."""
    reader = await judge.market.user("poster")
    other = await judge.market.user("poster")
    event = (
        "insert into user_events (user_id, seq, at, type, data)"
        " values ($1, $2, hx_clock() + $3::text::interval, 'X', '{{}}')"
    )
    if judge.role == "app":
        await judge.refuses(NO_PRIVILEGE, event, reader, 1, "0")
        return
    await judge.does(event, reader, 1, "0")
    for away in ("0", "1 second", "1 month", "-3 years"):
        await judge.refuses(TAKEN, event, reader, 1, away)
    await judge.allows(event, reader, 2, "1 month")
    await judge.allows(event, other, 1, "0")
