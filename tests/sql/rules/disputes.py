"""Disputes: opened by a side, decided by an admin, with evidence that stays."""

from __future__ import annotations

from tests.sql.rules.rule_checker import RuleChecker, rule
from tests.sql.rules.shapes import checks, references, uniques

STEP = ("HX010", "DISPUTE-TRANSITION")
GROWS = ("HX801", "AUDIT-5")

checks(
    "disputes",
    ("disputes_side", "side = 'NEIGHBOUR'", "side = 'SYSTEM'"),
    ("disputes_reason", r"reason = E'a\u202eb'", "reason = repeat('x', 2000)"),
    ("disputes_state", "state = 'LOST' where state = 'OPEN'", "state = 'ESCALATED' where false"),
    (
        "disputes_resolved",
        r"resolution = E'\u3164' where state = 'RESOLVED'",
        "resolution = 'Seen.' where state = 'RESOLVED'",
    ),
    (
        "disputes_amounts",
        "outcome = 'NOBODY' where state = 'RESOLVED'",
        "release_amount = 1, refund_amount = 3999 where state = 'RESOLVED'",
    ),
)
references(
    "disputes",
    ("disputes_task", "task_id"),
    ("disputes_escrow", "escrow_id"),
    ("disputes_resolver", "resolved_by"),
)
uniques(
    "disputes",
    ("disputes_one_per_task", "task_id = {split}", "task_id = task_id"),
)
checks(
    "evidence",
    ("evidence_body", r"body = E'a\u0007b'", "body = repeat('x', 5000)"),
    (
        "evidence_photos",
        "upload_ids = array_fill({photo}::uuid, array[6])",
        "upload_ids = array_fill({photo}::uuid, array[5])",
    ),
)
references("evidence", ("evidence_dispute", "dispute_id"), ("evidence_author", "submitted_by"))

OPEN = (
    "insert into disputes (task_id, escrow_id, opened_by, side, reason, evidence_due_at%s)"
    " values ({%s}, {%s_escrow}, %s, '%s', 'why', hx_clock()%s)"
)


def opened(
    task: str, by: str, side: str, escrow: str = "", more: tuple[str, str] = ("", "")
) -> str:
    """The plain INSERT of a dispute."""
    return OPEN % (more[0], task, escrow or task, by, side, more[1])


@rule("disputes.dispute_guard")
async def a_dispute_is_born_open_over_held_money_that_somebody_works_for(
    checker: RuleChecker,
) -> None:
    """HX010: not over another task's money, nor before the hustler came or after the end."""
    for task in ("live", "held", "completed", "paid", "cancelled"):
        await checker.refuses(STEP, opened(task, f"{{{task}_poster}}", "POSTER"))
    await checker.refuses(STEP, opened("working", "{working_poster}", "POSTER", "submitted"))
    await checker.refuses(
        STEP,
        opened("working", "{working_poster}", "POSTER", more=(", state", ", 'ESCALATED'")),
    )
    for task in ("working", "submitted", "rejected"):
        await checker.allows(opened(task, f"{{{task}_poster}}", "POSTER"))
    await checker.allows(opened("held", "null", "SYSTEM"))
    async with checker.behind("escrows") as alone:
        await alone.does("update escrows set state = 'LOCKED_DISPUTE' where id = {working_escrow}")
        await alone.refuses(STEP, opened("working", "{working_poster}", "POSTER"))
    arrived, hustler = await checker.market.accepted()
    await checker.market.arrive(hustler, arrived)
    await checker.allows(
        "insert into disputes (task_id, escrow_id, opened_by, side, reason, evidence_due_at)"
        " select $1, id, $2, 'HUSTLER', 'why', hx_clock() from escrows where task_id = $1",
        arrived,
        hustler,
    )


@rule("disputes.dispute_guard")
async def a_dispute_is_opened_in_one_s_own_name(checker: RuleChecker) -> None:
    """HX010: the side is the opener's; the system has no name."""
    for by, side in (
        ("{hustler}", "POSTER"),
        ("{working_hustler}", "POSTER"),
        ("{working_poster}", "HUSTLER"),
        ("{poster}", "ADMIN"),
        ("null", "POSTER"),
        ("{working_poster}", "SYSTEM"),
    ):
        await checker.refuses(STEP, opened("working", by, side))
    for by, side in (
        ("{working_poster}", "POSTER"),
        ("{working_hustler}", "HUSTLER"),
        ("{admin}", "ADMIN"),
        ("null", "SYSTEM"),
    ):
        await checker.allows(opened("working", by, side))


RESOLVE = (
    "update disputes set state = 'RESOLVED', outcome = 'SPLIT', release_amount = %d,"
    " refund_amount = %d, resolved_by = {%s}, resolution = 'Seen.', resolved_at = hx_clock()"
    " where task_id = $1"
)


@rule("disputes.dispute_guard")
async def a_dispute_is_decided_by_an_admin_for_the_whole_amount_on_record(
    checker: RuleChecker,
) -> None:
    """HX010: no side decides, no cent appears or is lost, and the act stands in the audit."""
    task, _ = await checker.market.disputed()
    act = (
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason,"
        " metadata) select {admin}, 'RESOLVE_DISPUTE', 'dispute', id, 'Seen.',"
        " jsonb_build_object('outcome', 'SPLIT', 'release_cents', 1000)"
        " from disputes where task_id = $1"
    )
    await checker.refuses(STEP, RESOLVE % (1_000, 3_000, "admin"), task)
    await checker.does(act, task)
    for release, refund, by in (
        (1_000, 3_000, "poster"),
        (1_000, 3_000, "hustler"),
        (1_000, 4_000, "admin"),
        (1_000, 2_000, "admin"),
        (2_000, 2_000, "admin"),
    ):
        await checker.refuses(STEP, RESOLVE % (release, refund, by), task)
    await checker.refuses(
        STEP,
        (RESOLVE % (4_000, 0, "admin")).replace("SPLIT", "HUSTLER"),
        task,
    )
    await checker.allows(RESOLVE % (1_000, 3_000, "admin"), task)


@rule("disputes.dispute_guard")
async def a_dispute_stays_what_it_was_and_decided(checker: RuleChecker) -> None:
    """HX010: not about another task, nor of another, and no decision twice."""
    for change in (
        "id = gen_random_uuid()",
        "task_id = {working}",
        "escrow_id = {working_escrow}",
        "opened_by = {hustler}",
        "side = 'ADMIN'",
        "reason = 'other'",
        "opened_at = hx_clock()",
    ):
        await checker.refuses(STEP, f"update disputes set {change} where id = {{disputed_dispute}}")
    for change in (
        "outcome = 'HUSTLER', release_amount = 4000, refund_amount = 0",
        "resolution = 'other'",
        (
            "state = 'OPEN', outcome = null, release_amount = null, refund_amount = null,"
            " resolved_at = null"
        ),
    ):
        await checker.refuses(STEP, f"update disputes set {change} where id = {{split_dispute}}")
    state = "update disputes set state = '%s' where id = {disputed_dispute}"
    await checker.allows(state % "ESCALATED")
    await checker.allows(state % "EVIDENCE_REQUESTED")
    task, _ = await checker.market.disputed()
    own = "update disputes set state = $2 where task_id = $1"
    await checker.does(own, task, "ESCALATED")
    await checker.refuses(STEP, own, task, "EVIDENCE_REQUESTED")


EVIDENCE = "insert into evidence (dispute_id, submitted_by, body, upload_ids) values "


@rule("evidence.evidence_guard")
async def evidence_comes_from_the_two_sides_or_an_admin_while_it_is_open(
    checker: RuleChecker,
) -> None:
    """HX010 for strangers, and once it is decided."""
    row = "({%s_dispute}, {%s}, 'text', '{{}}')"
    await checker.refuses(STEP, EVIDENCE + row % ("disputed", "hustler"))
    await checker.refuses(STEP, EVIDENCE + row % ("disputed", "poster"))
    for who in ("split_hustler", "split_poster", "admin"):
        await checker.refuses(STEP, EVIDENCE + row % ("split", who))
    for who in ("disputed_hustler", "disputed_poster", "admin"):
        await checker.allows(EVIDENCE + row % ("disputed", who))


@rule("evidence.evidence_guard")
async def evidence_shows_one_s_own_photos(checker: RuleChecker) -> None:
    """HX022 for another's photo, for none at all, and for one that could still be swept."""
    market = checker.market
    task, hustler = await market.disputed()
    own, foreign = await market.photo(hustler), await market.photo(await market.user("poster"))
    new = (
        "insert into evidence (dispute_id, submitted_by, body, upload_ids)"
        " select id, $2, 'text', array[$3::uuid] from disputes where task_id = $1"
    )
    refused = ("HX022", "UPLOAD")
    await checker.refuses(refused, new, task, hustler, own)
    await checker.does("update uploads set used_at = hx_clock() where id = any($1)", [own, foreign])
    await checker.refuses(refused, new, task, hustler, foreign)
    await checker.refuses(refused, new.replace("$3::uuid", "gen_random_uuid()"), task, hustler)
    await checker.allows(new, task, hustler, own)


@rule("evidence.evidence_append_only")
async def evidence_stays_what_it_was(checker: RuleChecker) -> None:
    """HX801 (AUDIT-5)."""
    for statement in ("delete from evidence", "update evidence set body = 'x'"):
        await checker.refuses(GROWS, statement)
        await checker.refuses(GROWS, f"{statement} where false")
    if checker.role == "owner":
        await checker.refuses(GROWS, "truncate evidence")
