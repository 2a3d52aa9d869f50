"""What is written down for whoever keeps a copy: a change that no event tells, and nothing else."""

from __future__ import annotations

from tests.sql.rules.rule_checker import NO_PRIVILEGE, RULES, Rule, RuleChecker, rule
from tests.sql.rules.shapes import Writer, checks

RECORDED = (
    "select coalesce(array_agg(distinct kind || ' ' || id order by kind || ' ' || id), '{{}}')"
    " = array(select r from unnest(array[%s]::text[]) as r order by r)"
    " from changes where xid = pg_current_xact_id()"
)
BROADCAST = (
    "insert into live_broadcasts (id, task_id, expires_at, initial_radius_miles, max_radius_miles,"
    " expansion_step_miles, expansion_interval_s, partition)"
    " values ({photo}, {over}, hx_clock() + interval '10 minutes', 3, 10, 2, 60, 7)"
)


def records(trigger: str, change: str, recorded: str, *silent: str, writer: Writer = "app") -> None:
    """A statement after which exactly these (`KIND id`, …) are written down, and some that write none.

    The table's other triggers sleep, so that none of them writes it instead.
    """
    table = trigger.partition(".")[0]

    async def check(checker: RuleChecker) -> None:
        if checker.role == "app" and writer == "owner":
            await checker.refuses(NO_PRIVILEGE, change)
            return
        others = await checker.market.owner.fetch(
            "select tgname from pg_trigger where tgrelid = $1::text::regclass and not tgisinternal",
            table,
        )
        sleeping = [name for (own,) in others if (name := f"{table}.{own}") != trigger]
        for statement, rows in ((change, recorded), *((quiet, "") for quiet in silent)):
            async with checker.behind(*sleeping) as alone:
                await alone.does(statement)
                await alone.holds(RECORDED % rows)

    RULES.append(Rule(f"{trigger.replace('.', '_')}_is_written_down", (trigger,), check))


records(
    "users.user_changed",
    "update users set trust_tier = 4 where id = {hustler}",
    "'HUSTLER ' || {hustler}",
    "update users set trust_tier = trust_tier, total_xp = 7, first_name = 'Bo' where id = {hustler}",
    writer="owner",
)
records(
    "users.user_suspended",
    "update users set account_status = 'SUSPENDED' where id = {hustler}",
    "'SUSPENDED ' || {hustler}",
    "update users set account_status = 'PAUSED' where id = {hustler}",
    writer="owner",
)
records(
    "users.user_tokens_revoked",
    "update users set tokens_revoked_at = now() where id = {hustler}",
    "'REVOKED ' || {hustler}",
    "update users set tokens_revoked_at = null where id = {hustler}",
    writer="owner",
)
records(
    "hustler_profiles.profile_changed",
    "update hustler_profiles set available_minutes = 5 where user_id = {hustler}",
    "'HUSTLER ' || {hustler}",
    "update hustler_profiles set available_minutes = available_minutes where user_id = {hustler}",
    writer="owner",
)
records(
    "live_status.live_status_changed",
    "update live_status set radius_miles = 4 where user_id = {live_hustler}",
    "'HUSTLER ' || {live_hustler}",
    "update live_status set radius_miles = radius_miles where user_id = {live_hustler}",
)
records(
    "offers.offer_answered",
    "update offers set response = 'SKIP', responded_at = hx_clock() where task_id = {live}",
    "'HUSTLER ' || {live_hustler}",
    "update offers set sent_at = hx_clock() where task_id = {live}",
)
records(
    "tasks.task_holder_changed",
    "update tasks set state = 'WORKING', started_at = hx_clock() where id = {held}",
    "'HUSTLER ' || {held_hustler}",
    "update tasks set title = 'Hang a window' where id = {held}",
    "update tasks set state = 'EXPIRED' where id = {live}",
)
records(
    "tasks.task_holder_changed",
    "update tasks set assigned_hustler_id = {live_hustler} where id = {held}",
    "'HUSTLER ' || {held_hustler}, 'HUSTLER ' || {live_hustler}",
)
records("live_broadcasts.broadcast_began", BROADCAST, "'BROADCAST ' || {photo}")
records(
    "live_broadcasts.broadcast_ended",
    "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where id = {live_broadcast}",
    "'BROADCAST ' || {live_broadcast}",
    "update live_broadcasts set state = state where id = {live_broadcast}",
)
checks(
    "changes",
    (
        "changes_kind",
        "insert into changes (slot, kind, id) values (0, 'WEATHER', {hustler})",
        "insert into changes (slot, kind, id) values (0, 'HUSTLER', {hustler})",
    ),
    writer="owner",
)
checks(
    "broadcaster_slots",
    (
        "broadcaster_slots_slot",
        "insert into broadcaster_slots (slot) values (16)",
        "update broadcaster_slots set owner = {hustler} where slot = 15",
    ),
    writer="owner",
)
checks(
    "changes_emptied",
    (
        "changes_emptied_one_row",
        "insert into changes_emptied (singleton, xid) values (false, '1')",
        "update changes_emptied set xid = '1'",
    ),
    writer="owner",
)


@rule()
async def nobody_writes_down_a_change_that_was_none(checker: RuleChecker) -> None:
    """42501 for the service: triggers write, as the owner."""
    forged = "insert into changes (slot, kind, id) values (0, 'SUSPENDED', {hustler})"
    if checker.role == "app":
        await checker.refuses(NO_PRIVILEGE, forged)
        await checker.refuses(NO_PRIVILEGE, "update changes_emptied set xid = '0'")
    else:
        await checker.allows(forged)
