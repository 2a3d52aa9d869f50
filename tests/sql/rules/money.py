"""Money: what is held, what moves it, and the journal that adds up."""

from __future__ import annotations

from tests.sql.rules.rule_checker import RuleChecker, rule
from tests.sql.rules.shapes import checks, references, uniques

STEP = ("HX010", "ESCROW-TRANSITION")
SUM = ("HX010", "CONSERVATION")
COVER = ("HX010", "COVER")
PROPOSAL = ("HX010", "PROPOSAL")
GROWS = ("HX801", "AUDIT-5")

checks(
    "escrows",
    ("escrows_amount", "amount = 499", "amount = 500 where state = 'FUNDED'"),
    (
        "escrows_state",
        "state = 'LOST' where state = 'FUNDED'",
        "state = 'CANCELLED', is_current = false",
    ),
    (
        "escrows_paid_in",
        "stripe_payment_intent_id = null where state = 'FUNDED'",
        "stripe_payment_intent_id = null where state = 'PENDING'",
    ),
    (
        "escrow_partial_sum_check",
        "release_amount = release_amount + 1 where state = 'REFUND_PARTIAL'",
        (
            "release_amount = release_amount + 1, refund_amount = refund_amount - 1"
            " where state = 'REFUND_PARTIAL'"
        ),
    ),
    (
        "escrows_released",
        (
            "release_amount = amount - 1, fee_amount = platform_fee_cents(amount - 1)"
            " where state = 'RELEASED'"
        ),
        "stripe_transfer_id = 'tr_other' where state = 'RELEASED'",
    ),
    (
        "escrows_refunded",
        "stripe_refund_id = null where state = 'REFUNDED'",
        "stripe_refund_id = 're_other' where state = 'REFUNDED'",
    ),
    (
        "escrows_fee",
        "fee_amount = fee_amount + 1 where state = 'RELEASED'",
        "fee_amount = amount where state = 'FUNDED'",
    ),
)
references("escrows", ("escrows_task", "task_id"), ("escrows_replaces", "replaces"))
uniques(
    "escrows",
    (
        "one_current_escrow_per_task",
        "task_id = {open}, is_current = true where id in ({open_escrow}, {draft_escrow})",
        "is_current = false",
    ),
    (
        "one_pending_replacement_per_task",
        (
            "insert into escrows (task_id, amount, is_current, replaces)"
            " values ({agreed}, 6000, false, {agreed_replaced})"
        ),
        (
            "insert into escrows (task_id, amount, is_current, replaces, state)"
            " values ({agreed}, 6000, false, {agreed_replaced}, 'CANCELLED')"
        ),
    ),
    (
        "one_replacement_per_escrow",
        (
            "insert into escrows (task_id, amount, is_current, replaces, state,"
            " stripe_payment_intent_id)"
            " values ({applied}, 6000, false, {applied_replaced}, 'FUNDED', 'pi_second')"
        ),
        (
            "insert into escrows (task_id, amount, is_current, replaces)"
            " values ({applied}, 6000, false, {applied_replaced})"
        ),
    ),
    (
        "escrows_payment",
        "stripe_payment_intent_id = 'pi_same'",
        "stripe_payment_intent_id = 'pi_' || id",
    ),
)
checks(
    "settlements",
    ("settlements_kind", "refund_amount = 1 where kind = 'RELEASE'", "attempts = 1"),
    (
        "settlements_fee",
        "fee_amount = 0 where kind = 'RELEASE'",
        "fee_amount = 0 where kind = 'REFUND'",
    ),
    ("settlements_state", "state = 'LOST'", "state = 'HELD'"),
    (
        "settlements_done",
        "done_at = null where state = 'DONE'",
        "done_at = hx_clock()",
    ),
    (
        "settlements_transfer",
        "transfer_done = true, transfer_reference = null",
        "transfer_done = true, transfer_reference = id::text",
    ),
    (
        "settlements_refund",
        "refund_done = true, refund_reference = null",
        "refund_done = true, refund_reference = id::text",
    ),
)
references("settlements", ("settlements_escrow", "escrow_id"))
uniques(
    "settlements",
    (
        "settlements_one_per_escrow",
        (
            "insert into settlements (escrow_id, kind, refund_amount)"
            " values ({paid_escrow}, 'REFUND', 4000)"
        ),
        (
            "insert into settlements (escrow_id, kind, refund_amount)"
            " values ({live_escrow}, 'REFUND', 4000)"
        ),
    ),
    ("settlements_transfer_once", "transfer_reference = 'x'", "transfer_reference = id::text"),
    ("settlements_refund_once", "refund_reference = 'x'", "refund_reference = id::text"),
    ("settlements_payment_once", "payment = 'pi_same'", "payment = id::text"),
)
checks(
    "money_entries",
    ("money_entries_kind", "amount = -amount", "amount = amount * 2"),
)
references("money_entries", ("money_entries_escrow", "escrow_id"))
uniques(
    "money_entries",
    (
        "money_entries_once",
        "escrow_id = {paid_escrow} where kind = 'CHARGE'",
        "reference = 'x' where id = (select max(id) from money_entries)",
    ),
    ("money_entries_reference", "reference = 'x'", "reference = id::text"),
)
references("payout_accounts", ("payout_accounts_user", "user_id"))
uniques(
    "payout_accounts",
    (
        "payout_accounts_once",
        "insert into payout_accounts (user_id, account_id) values ({poster}, 'acct_1')",
        "insert into payout_accounts (user_id, account_id) values ({poster}, 'acct_2')",
    ),
)
checks(
    "payout_accounts",
    (
        "payout_accounts_closed",
        "closed_at = hx_clock(), payouts_enabled = true",
        "closed_at = hx_clock(), payouts_enabled = false",
    ),
)
checks(
    "chargebacks",
    ("chargebacks_amount", "amount = 0", "amount = 1"),
    (
        "chargebacks_reported",
        (
            "insert into chargebacks (id, escrow_id, payment, amount)"
            " values ('dp_9', {paid_escrow}, 'pi', 1)"
        ),
        (
            "insert into chargebacks (id, escrow_id, payment, amount, reported_inquiry_at)"
            " values ('dp_9', {paid_escrow}, 'pi', 1, hx_clock())"
        ),
    ),
    (
        "chargebacks_closed",
        "reported_lost_at = hx_clock(), closed_at = null",
        "reported_lost_at = hx_clock(), closed_at = hx_clock()",
    ),
)
references("chargebacks", ("chargebacks_escrow", "escrow_id"))
checks(
    "external_refunds",
    ("external_refunds_amount", "amount = 0", "amount = 1"),
    ("external_refunds_state", "state = 'LOST'", "state = 'FAILED'"),
    (
        "external_refunds_sum",
        "is_sum = true, state = 'PENDING'",
        "is_sum = true, state = 'SUCCEEDED'",
    ),
)
references("external_refunds", ("external_refunds_escrow", "escrow_id"))
checks(
    "price_proposals",
    ("price_proposals_price", "price = 499", "price = 500"),
    (
        "price_proposals_state",
        "state = 'LOST'",
        "state = 'LAPSED'",
    ),
    (
        "price_proposals_agreed",
        "state = 'AGREED', escrow_id = null",
        "state = 'LAPSED', escrow_id = null",
    ),
)
references(
    "price_proposals",
    ("price_proposals_task", "task_id"),
    ("price_proposals_escrow", "escrow_id"),
)
uniques(
    "price_proposals",
    (
        "one_open_proposal_per_task",
        "task_id = {agreed} where state in ('OPEN', 'AGREED')",
        "task_id = {agreed} where state = 'APPLIED'",
    ),
)


@rule("escrows.escrow_amount_immutable")
async def an_escrow_s_amount_never_changes(checker: RuleChecker) -> None:
    """HX004 (INV-4) in every state, the ended ones included."""
    for escrow in (
        "draft_escrow", "live_escrow", "disputed_escrow", "paid_escrow", "refunded_escrow",
        "split_escrow", "void_escrow",
    ):  # fmt: skip
        await checker.refuses(
            ("HX004", "INV-4"), f"UPDATE escrows SET amount = 9999 WHERE id = {{{escrow}}}"
        )
    await checker.allows("update escrows set amount = amount")


def settled(task: object, kind: str, release: int, refund: int) -> tuple[str, str]:
    """The statements that queue a task's settlement and book its legs."""
    of_task = f"(select id from escrows where task_id = '{task}' and is_current)"
    return (
        (
            "insert into settlements (escrow_id, kind, release_amount, fee_amount, refund_amount)"
            f" values ({of_task}, '{kind}', {release}, platform_fee_cents({release}), {refund})"
        ),
        (
            "update settlements set state = 'DONE', done_at = hx_clock(),"
            " transfer_done = release_amount > 0, refund_done = refund_amount > 0,"
            " transfer_reference = case when release_amount > 0 then 'tr_x' end,"
            " refund_reference = case when refund_amount > 0 then 're_x' end"
            f" where escrow_id = {of_task}"
        ),
    )


@rule("escrows.escrow_released_requires_completed_task")
async def money_is_released_only_for_a_completed_task(checker: RuleChecker) -> None:
    """HX201 (INV-2): whole or in part, held or locked, by the bare UPDATE of the specification."""
    identity = ("HX201", "INV-2")
    await checker.refuses(
        identity, "UPDATE escrows SET state = 'RELEASED' WHERE id = {live_escrow}"
    )
    for task in ("live", "working", "submitted", "disputed"):
        for state in ("RELEASED", "REFUND_PARTIAL"):
            await checker.refuses(
                identity, f"UPDATE escrows SET state = '{state}' WHERE id = {{{task}_escrow}}"
            )
    await checker.refuses(
        identity,
        "UPDATE escrows SET state = 'RELEASED' FROM tasks WHERE tasks.id = escrows.task_id"
        " AND tasks.state <> 'COMPLETED' AND escrows.state = 'FUNDED'",
    )
    await checker.refuses(
        identity, "insert into escrows (task_id, amount, state) values ({bare}, 4000, 'RELEASED')"
    )
    done, _ = await checker.market.submitted()
    await checker.does("update proofs set state = 'ACCEPTED' where task_id = $1", done)
    await checker.does("update tasks set state = 'COMPLETED' where id = $1", done)
    release = (
        "update escrows set state = 'RELEASED', release_amount = amount, fee_amount = 600,"
        f" stripe_transfer_id = 'tr_x' where task_id = '{done}'"
    )
    # before a settlement has moved the money it is not released
    await checker.refuses(STEP, release)
    await checker.allows_commit(*settled(done, "RELEASE", 4_000, 0), release)


@rule("escrows.escrow_terminal_guard")
async def an_ended_escrow_is_frozen_but_for_updated_at(checker: RuleChecker) -> None:
    """HX002 for each of the four ends."""
    identity = ("HX002", "ESCROW-TERMINAL")
    await checker.refuses(identity, "UPDATE escrows SET state = 'FUNDED' WHERE state = 'RELEASED'")
    for task in ("paid", "refunded", "split", "void"):
        for change in (
            "state = 'FUNDED'", "refund_amount = 1", "is_current = false",
            "stripe_transfer_id = 'tr_x'",
        ):  # fmt: skip
            await checker.refuses(
                identity, f"update escrows set {change} where id = {{{task}_escrow}}"
            )
        await checker.allows(
            f"update escrows set updated_at = hx_clock() where id = {{{task}_escrow}}"
        )


NEW = "insert into escrows (task_id, amount, state, is_current, replaces) values "


@rule("escrows.escrow_transition_guard")
async def an_escrow_is_born_pending_for_its_task_s_price(checker: RuleChecker) -> None:
    """HX010: not funded, not for less, not beside the current one unless it replaces it."""
    await checker.refuses(STEP, NEW + "({bare}, 4000, 'FUNDED', true, null)")
    await checker.refuses(STEP, NEW + "({bare}, 3999, 'PENDING', true, null)")
    await checker.refuses(STEP, NEW + "({bare}, 4000, 'PENDING', false, null)")
    await checker.refuses(STEP, NEW + "({bare}, 4000, 'PENDING', true, {held_escrow})")
    await checker.refuses(STEP, NEW + "({bare}, 5000, 'PENDING', false, {held_escrow})")
    await checker.refuses(STEP, NEW + "({draft}, 5000, 'PENDING', false, {draft_escrow})")
    await checker.refuses(STEP, NEW + "({applied}, 5000, 'PENDING', false, {applied_replaced})")
    await checker.refuses(STEP, NEW + "({cancelled}, 4000, 'PENDING', true, null)")
    await checker.allows(NEW + "({bare}, 4000, 'PENDING', true, null)")
    await checker.allows(NEW + "({held}, 5000, 'PENDING', false, {held_escrow})")


@rule("escrows.escrow_transition_guard")
async def an_escrow_keeps_its_name_its_payment_and_what_it_replaces(checker: RuleChecker) -> None:
    """HX010: a payment once named stays, and is named while it is waited for."""
    change = "update escrows set %s where id = {%s}"
    await checker.refuses(STEP, change % ("id = gen_random_uuid()", "draft_escrow"))
    await checker.refuses(STEP, change % ("replaces = {held_escrow}", "draft_escrow"))
    await checker.refuses(STEP, change % ("replaces = null", "agreed_replacement"))
    await checker.refuses(STEP, change % ("created_at = hx_clock()", "agreed_replacement"))
    name = "stripe_payment_intent_id = 'pi_other'"
    await checker.refuses(STEP, change % (name, "live_escrow"))
    await checker.refuses(
        STEP, change % ("stripe_payment_intent_id = null, state = 'CANCELLED'", "live_escrow")
    )
    await checker.refuses(STEP, change % ("stripe_payment_intent_id = 'pi_late'", "draft_escrow"))
    await checker.allows(change % (name, "draft_escrow"))


@rule("escrows.escrow_transition_guard")
async def an_escrow_is_refunded_only_when_its_task_ended_or_it_was_replaced(
    checker: RuleChecker,
) -> None:
    """HX010: no refund of a running task, none of completed work, none by another command."""
    refund = (
        "update escrows set state = 'REFUNDED', refund_amount = amount, stripe_refund_id = 're_x'"
        " where id = {%s}"
    )
    for escrow in ("live_escrow", "held_escrow", "submitted_escrow", "completed_escrow"):
        await checker.refuses(STEP, refund % escrow)
    task = await checker.market.funded("STANDARD")
    await checker.does("update tasks set state = 'CANCELLED' where id = $1", task)
    ended = refund.replace("where id = {%s}", f"where task_id = '{task}'")
    await checker.refuses(STEP, ended)
    await checker.allows_commit(*settled(task, "REFUND", 0, 4_000), ended)


@rule("escrows.escrow_transition_guard")
async def an_escrow_ends_as_its_settlement_did(checker: RuleChecker) -> None:
    """HX010: not before the money moved, nor with other figures or references."""
    end = (
        "update escrows set state = 'RELEASED', release_amount = 4000, fee_amount = 600,"
        " stripe_transfer_id = '%s' where task_id = $1"
    )
    task, _ = await checker.market.completed()
    await checker.refuses(STEP, end % "tr_x", task)
    await checker.refuses(STEP, end.replace("RELEASED", "CANCELLED") % "tr_x", task)
    await checker.does(
        "update settlements set transfer_reference = 'tr_' || id where escrow_id ="
        " (select id from escrows where task_id = $1)",
        task,
    )
    begun = "' || (select s.id from settlements as s where s.escrow_id = escrows.id) || '"
    await checker.refuses(STEP, end % f"tr_{begun}", task)
    async with checker.behind("settlements", "escrows.escrow_adds_up") as alone:
        await alone.does(
            "update settlements set state = 'DONE', transfer_done = true, done_at = hx_clock(),"
            " transfer_reference = 'tr_' || id where escrow_id ="
            " (select id from escrows where task_id = $1)",
            task,
        )
        await alone.refuses(STEP, end % "tr_x", task)
        await alone.allows(end % f"tr_{begun}", task)
    refund = (
        "update escrows set state = 'REFUNDED', refund_amount = 4000, fee_amount = %s,"
        " stripe_refund_id = 're_mine' where id = {cancelled_escrow}"
    )
    async with checker.behind("settlements", "escrows.escrow_adds_up") as alone:
        await alone.does(
            "update settlements set state = 'DONE', refund_done = true, done_at = hx_clock(),"
            " refund_reference = 're_mine' where id = {cancelled_settlement}"
        )
        await alone.refuses(STEP, refund % "600")
        await alone.allows(refund % "null")


@rule("escrows.escrow_transition_guard")
async def money_is_held_only_for_a_task_that_waits_for_it(checker: RuleChecker) -> None:
    """HX010: a payment for an ended task is no funding; it goes back."""
    fund = "update escrows set state = 'FUNDED', stripe_payment_intent_id = $2 where task_id = $1"
    task = await checker.market.task("STANDARD")
    await checker.market.store.perform("begin_funding", await checker.market.poster_of(task), task)
    await checker.allows(fund, task, f"pi_in_time_{checker.role}")
    await checker.does("update tasks set state = 'CANCELLED' where id = $1", task)
    await checker.refuses(STEP, fund, task, f"pi_too_late_{checker.role}")


@rule("escrows.escrow_transition_guard")
async def a_locked_escrow_ends_as_the_dispute_was_decided(checker: RuleChecker) -> None:
    """HX010: not for the other side, not for another share, and not before the decision."""
    refund = (
        "update escrows set state = 'REFUNDED', refund_amount = amount, stripe_refund_id = 're_x'"
        " where task_id = $1"
    )
    task, _ = await checker.market.disputed()
    await checker.refuses(STEP, refund, task)
    await checker.refuses(STEP, "update escrows set state = 'FUNDED' where task_id = $1", task)
    for step in (
        "update proofs set state = 'EXPIRED' where task_id = $1",
        (
            "insert into admin_actions (admin_id, action_type, target_type, target_id, reason,"
            " metadata) select {admin}, 'RESOLVE_DISPUTE', 'dispute', id, 'r',"
            " jsonb_build_object('outcome', 'SPLIT', 'release_cents', 1000)"
            " from disputes where task_id = $1"
        ),
        (
            "update disputes set state = 'RESOLVED', outcome = 'SPLIT', release_amount = 1000,"
            " refund_amount = 3000, resolved_by = {admin}, resolution = 'r',"
            " resolved_at = hx_clock() where task_id = $1"
        ),
        (
            "insert into proofs (task_id, hustler_id, kind, state) select id, assigned_hustler_id,"
            " 'DECISION', 'ACCEPTED' from tasks where id = $1"
        ),
        "update tasks set state = 'COMPLETED' where id = $1",
    ):
        await checker.does(step, task)
    split = (
        "update escrows set state = 'REFUND_PARTIAL', release_amount = $2::integer,"
        " refund_amount = 4000 - $2::integer, fee_amount = platform_fee_cents($2::integer),"
        " stripe_transfer_id = 'tr_x', stripe_refund_id = 're_x' where task_id = $1"
    )
    await checker.refuses(STEP, refund, task)
    await checker.refuses(STEP, split, task, 2_000)
    await checker.refuses(STEP, split, task, 1_000)
    await checker.allows_commit(
        *settled(task, "SPLIT", 1_000, 3_000),
        split.replace("$2::integer", "1000").replace("$1", f"'{task}'"),
    )


@rule("escrows.escrow_transition_guard")
async def a_replaced_escrow_is_refunded_though_its_successor_was_replaced_too(
    checker: RuleChecker,
) -> None:
    """HX010 only where nothing that was paid took over."""
    market = checker.market
    task, hustler = await market.agreed(5_000)
    first = await checker.value("select id from escrows where task_id = $1 and is_current", task)
    poster = await market.poster_of(task)
    await market.commands.money.fund(poster, task)
    proposal = await market.commands.pricing.propose(hustler, task, 6_000)
    await market.commands.pricing.answer(poster, task, proposal, agrees=True)
    await market.commands.money.fund(poster, task)
    await checker.does("update settlements set attempts = 1 where escrow_id = $1", first)
    await checker.allows(
        "select book_leg(id, 'REFUND', 're_' || id) from settlements where escrow_id = $1", first
    )
    async with checker.behind() as alone:
        await alone.does(
            "update escrows set state = 'FUNDED', stripe_payment_intent_id = 'pi_heir'"
            " where id = {agreed_replacement}"
        )
        await alone.refuses(
            STEP,
            "update escrows set state = 'REFUNDED', refund_amount = amount,"
            " stripe_refund_id = 're_heir' where id = {agreed_replacement}",
        )


@rule("escrows.escrow_transition_guard")
async def an_escrow_is_locked_only_by_an_open_dispute_of_its_own(checker: RuleChecker) -> None:
    """HX010: nobody freezes another's money."""
    lock = "update escrows set state = 'LOCKED_DISPUTE' where task_id = $1"
    task, hustler = await checker.market.working()
    await checker.refuses(STEP, lock, task)
    await checker.does(
        "insert into disputes (task_id, escrow_id, opened_by, side, reason, evidence_due_at)"
        " select $1, id, $2, 'HUSTLER', 'why', hx_clock() from escrows where task_id = $1",
        task,
        hustler,
    )
    await checker.allows(lock, task)
    for step in (
        (
            "insert into admin_actions (admin_id, action_type, target_type, target_id, reason,"
            " metadata) select {admin}, 'RESOLVE_DISPUTE', 'dispute', id, 'r',"
            " jsonb_build_object('outcome', 'SPLIT', 'release_cents', 1000)"
            " from disputes where task_id = $1"
        ),
        (
            "update disputes set state = 'RESOLVED', outcome = 'SPLIT', release_amount = 1000,"
            " refund_amount = 3000, resolved_by = {admin}, resolution = 'r',"
            " resolved_at = hx_clock() where task_id = $1"
        ),
    ):
        await checker.does(step, task)
    await checker.refuses(STEP, lock, task)


@rule("escrows.escrow_transition_guard")
async def the_flag_moves_only_to_a_paid_replacement(checker: RuleChecker) -> None:
    """HX010: no held escrow is set aside, and none takes over unpaid."""
    flag = "update escrows set is_current = %s where id = {%s}"
    await checker.refuses(STEP, flag % ("false", "live_escrow"))
    await checker.refuses(STEP, flag % ("false", "agreed_replaced"))
    await checker.refuses(STEP, flag % ("true", "agreed_replacement"))
    await checker.refuses(STEP, flag % ("false", "draft_escrow"))
    await checker.refuses(STEP, flag % ("true", "applied_replaced"))
    await checker.allows("update escrows set state = 'CANCELLED', is_current = false"
                       " where id = {draft_escrow}")  # fmt: skip


@rule("escrows.escrow_transition_guard")
async def an_escrow_changes_its_task_only_with_the_successor_of_an_ended_one(
    checker: RuleChecker,
) -> None:
    """HX010: no money is routed to another task, by whatever tasks are cancelled or posted."""
    market = checker.market
    move = "update escrows set task_id = $2 where task_id = $1"
    gone, mine = await market.funded("STANDARD"), await market.task("STANDARD")
    await checker.refuses(STEP, move, gone, mine)
    await checker.does("update tasks set state = 'CANCELLED' where id = $1", gone)
    await checker.refuses(STEP, move, gone, mine)
    await checker.refuses(
        ("HX010", "TRANSITION"), "update tasks set predecessor_id = $1 where id = $2", gone, mine
    )
    successor = await checker.value(
        "insert into tasks (mode, state, title, description, category, price, location_lat,"
        " location_lng, place_lat, place_lng, partition, poster_id, predecessor_id) select 'STANDARD',"
        " 'OPEN', 't', 'd', 'c', price, 1, 1, 1, 1, 0, poster_id, id from tasks where id = $1"
        " returning id",
        gone,
    )
    await checker.allows(move, gone, successor)
    await checker.does("update tasks set price = 3000 where id = $1", successor)
    await checker.refuses(STEP, move, gone, successor)
    await checker.refuses(STEP, "update escrows set task_id = {bare} where id = {cancelled_escrow}")

    poster = await market.user("poster")
    one, other = [await market.funded("STANDARD", poster=poster) for _ in range(2)]
    await checker.does("update tasks set state = 'CANCELLED' where poster_id = $1", poster)
    successor = await checker.value(
        "insert into tasks (mode, state, title, description, category, price, location_lat,"
        " location_lng, place_lat, place_lng, partition, poster_id, predecessor_id) select 'STANDARD',"
        " 'OPEN', 't', 'd', 'c', price, 1, 1, 1, 1, 0, poster_id, id from tasks where id = $1"
        " returning id",
        other,
    )
    await checker.refuses(STEP, move, one, successor)
    await checker.allows(move, other, successor)


@rule("settlements.settlement_guard")
async def a_settlement_moves_its_escrow_s_money_and_no_other(checker: RuleChecker) -> None:
    """HX201 before completion; HX010 for another amount, another end, or money that is not held."""
    new = (
        "insert into settlements (escrow_id, kind, release_amount, fee_amount, refund_amount%s)"
        " select id, '%s', %d, platform_fee_cents(%d), %d%s from escrows where id = {%s}"
    )

    def settle(
        kind: str, release: int, refund: int, escrow: str, more: tuple[str, str] = ("", "")
    ) -> str:
        return new % (more[0], kind, release, release, refund, more[1], escrow)

    await checker.refuses(("HX201", "INV-2"), settle("RELEASE", 4_000, 0, "live_escrow"))
    await checker.refuses(("HX201", "INV-2"), settle("SPLIT", 1_000, 3_000, "disputed_escrow"))
    for escrow in ("live_escrow", "held_escrow", "disputed_escrow", "draft_escrow", "void_escrow"):
        await checker.refuses(STEP, settle("REFUND", 0, 4_000, escrow))

    done, _ = await checker.market.submitted()
    await checker.does("update proofs set state = 'ACCEPTED' where task_id = $1", done)
    await checker.does("update tasks set state = 'COMPLETED' where id = $1", done)
    of_done = "(select id from escrows where task_id = $1)"

    async def done_settles(statement: str, *, fine: bool = False) -> None:
        statement = statement.replace("{x}", of_done)
        if fine:
            await checker.allows(statement, done)
        else:
            await checker.refuses(STEP, statement, done)

    await done_settles(settle("RELEASE", 40_000, 0, "x"))
    await done_settles(settle("RELEASE", 3_999, 0, "x"))
    await done_settles(settle("REFUND", 0, 4_000, "x"))
    await done_settles(settle("SPLIT", 1_000, 3_000, "x"))
    for more in (
        (", transfer_reference", ", 'tr_x'"),
        (", refund_reference", ", 're_x'"),
        (", state", ", 'HELD'"),
        (", payment", ", 'pi_x'"),
    ):
        await done_settles(settle("RELEASE", 4_000, 0, "x", more))
    await done_settles(settle("RELEASE", 4_000, 0, "x"), fine=True)


@rule("settlements.settlement_guard")
async def a_late_payment_that_is_given_back_is_its_own_escrow_s(checker: RuleChecker) -> None:
    """HX010: nobody has another escrow's payment refunded."""
    new = (
        "insert into settlements (escrow_id, kind, refund_amount, payment)"
        " values ({void_escrow}, 'REFUND', 4000, %s)"
    )
    payment = "(select stripe_payment_intent_id from escrows where id = {live_escrow})"
    await checker.refuses(STEP, new % payment)
    await checker.refuses(STEP, (new % payment).replace("{void_escrow}", "{live_escrow}"))
    await checker.refuses(("23505", "settlements_payment_once"), new % "'pi_late'")
    await checker.allows(new % "'pi_new'")


@rule("settlements.settlement_guard")
async def a_settlement_changes_only_its_progress(checker: RuleChecker) -> None:
    """HX010: not what it moves, not a leg that is done, not one that is DONE."""
    change = "update settlements set %s where id = {%s}"
    for what in (
        "id = gen_random_uuid()",
        "escrow_id = {live_escrow}",
        "kind = 'REFUND', release_amount = 0, fee_amount = 0, refund_amount = 4000",
        "release_amount = 9000, fee_amount = 1350",
        "payment = 'pi_x'",
    ):
        await checker.refuses(STEP, change % (what, "completed_settlement"))
    await checker.refuses(STEP, change % ("refund_amount = 9000", "cancelled_settlement"))
    for what in ("attempts = 9", "state = 'PENDING'", "transfer_reference = 'tr_x'"):
        await checker.refuses(STEP, change % (what, "paid_settlement"))
    await checker.allows(change % ("attempts = 9, last_error = 'x'", "completed_settlement"))

    task, _ = await checker.market.disputed()
    await checker.market.app.execute(
        "select resolve_dispute((select id from users where role = 'admin' limit 1), id, 'SPLIT',"
        " 1000, 'r') from disputes where task_id = $1",
        task,
    )
    own = "update settlements set %s where escrow_id = (select id from escrows where task_id = $1)"
    await checker.does(
        own % f"transfer_done = true, transfer_reference = 'tr_leg_{task}', refund_done = true,"
        f" refund_reference = 're_leg_{task}'",
        task,
    )
    for what in (
        "transfer_done = false",
        "transfer_reference = 'tr_x'",
        "refund_done = false",
        "refund_reference = 're_x'",
    ):
        await checker.refuses(STEP, own % what, task)
    await checker.allows(own % "attempts = 1", task)


@rule("escrows.escrow_journal")
async def the_journal_follows_the_escrow(checker: RuleChecker) -> None:
    """A charge when it is funded; net, fee and refund when it ends."""
    journal = (
        "select array_agg(kind || amount order by kind) = $1::text[]"
        " from money_entries where escrow_id = {%s}"
    )
    for escrow, entries in (
        ("draft_escrow", None),
        ("live_escrow", ["CHARGE4000"]),
        ("paid_escrow", ["CHARGE4000", "FEE-600", "TRANSFER-3400"]),
        ("refunded_escrow", ["CHARGE4000", "REFUND-4000"]),
        ("split_escrow", ["CHARGE4000", "FEE-150", "REFUND-3000", "TRANSFER-850"]),
    ):
        if entries is not None:
            await checker.holds(journal % escrow, entries)
    fund = (
        "update escrows set state = 'FUNDED', stripe_payment_intent_id = 'pi_journal'"
        " where id = {draft_escrow}"
    )
    await checker.allows(fund)


@rule("settlements.late_payment_journal")
async def a_late_payment_comes_in_and_goes_out_again(checker: RuleChecker) -> None:
    """A charge with the settlement, a refund when it is done."""
    market = checker.market
    task = await market.task()
    await market.store.perform("begin_funding", await market.poster_of(task), task)
    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    await checker.does(
        "insert into settlements (escrow_id, kind, refund_amount, payment)"
        " select id, 'REFUND', 4000, 'pi_' || id from escrows where task_id = $1",
        task,
    )
    journal = (
        "select array_agg(m.kind || m.amount order by m.kind) = $2::text[] from money_entries as m"
        " inner join escrows as e on e.id = m.escrow_id where e.task_id = $1"
    )
    await checker.holds(journal, task, ["CHARGE4000"])
    await market.settle(task)
    await checker.holds(journal, task, ["CHARGE4000", "REFUND-4000"])


@rule("escrows.escrow_adds_up")
async def what_an_escrow_holds_stands_in_the_journal(checker: RuleChecker) -> None:
    """HX010 CONSERVATION at the commit, in a transaction of one statement and of several."""
    fund = (
        "update escrows set state = 'FUNDED', stripe_payment_intent_id = 'pi_silent'"
        " where id = {draft_escrow}"
    )
    async with checker.behind("escrows.escrow_journal") as alone:
        await alone.does(fund)
        await alone.refuses(SUM, "set constraints all immediate")
    await checker.allows(fund)


@rule("escrows.escrow_adds_up")
async def a_task_costs_what_its_current_escrow_holds(checker: RuleChecker) -> None:
    """HX010 CONSERVATION: a replacement takes over with the task's price, or not at all."""
    task, _ = await checker.market.agreed()
    await checker.market.app.execute(
        "select record_payment(id, 'pi_' || id) from escrows where task_id = $1 and not is_current",
        task,
    )
    ids = {
        "new": await checker.value(
            "select id from escrows where task_id = $1 and not is_current", task
        ),
        "old": await checker.value(
            "select id from escrows where task_id = $1 and is_current", task
        ),
    }
    steps = [
        f"update escrows set state = 'FUNDED' where id = '{ids['new']}'",
        f"update escrows set is_current = false where id = '{ids['old']}'",
        f"update escrows set is_current = true where id = '{ids['new']}'",
    ]
    price = f"update tasks set price = 5000 where id = '{task}'"
    for count in (1, 2, 3):
        await checker.refuses_commit(SUM, *steps[:count])
    await checker.allows_commit(*steps, price)

    async with checker.behind("tasks") as alone:
        await alone.does("update tasks set price = 9000 where id = {agreed}")
        await alone.does("update escrows set updated_at = hx_clock() where id = {agreed_replaced}")
        await alone.refuses(SUM, "set constraints all immediate")
    async with checker.behind() as alone:
        await alone.does(NEW + "({held}, 4000, 'PENDING', false, {held_escrow})")
        await alone.does(
            "update escrows set state = 'FUNDED', stripe_payment_intent_id = 'pi_beside'"
            " where replaces = {held_escrow}"
        )
        await alone.refuses(SUM, "set constraints all immediate")


@rule("settlements.settlement_adds_up")
async def a_settlement_is_not_done_while_its_money_is_held(checker: RuleChecker) -> None:
    """HX010 CONSERVATION: DONE and the escrow's end are booked together."""
    task, _ = await checker.market.completed()
    done = (
        "update settlements set state = 'DONE', transfer_done = true, done_at = hx_clock(),"
        f" transfer_reference = 'tr_{task}' where escrow_id ="
        f" (select id from escrows where task_id = '{task}')"
    )
    await checker.refuses(SUM, done)
    await checker.refuses_commit(SUM, done)
    await checker.allows_commit(
        done,
        "update escrows set state = 'RELEASED', release_amount = 4000, fee_amount = 600,"
        f" stripe_transfer_id = 'tr_{task}' where task_id = '{task}'",
    )


@rule("money_entries.journal_adds_up")
async def nobody_writes_money_into_the_journal(checker: RuleChecker) -> None:
    """42501 for the service, HX010 CONSERVATION for the owner."""
    entry = (
        "insert into money_entries (escrow_id, kind, amount, reference)"
        " values ({live_escrow}, 'REFUND', -4000, 're_forged')"
    )
    if checker.role == "app":
        await checker.refuses(("42501", ""), entry)
        return
    await checker.refuses(SUM, entry)
    await checker.refuses_commit(SUM, entry)


@rule("money_entries.money_entries_append_only")
async def the_journal_only_grows(checker: RuleChecker) -> None:
    """HX801 (AUDIT-5)."""
    for statement in ("delete from money_entries", "update money_entries set amount = 1"):
        await checker.refuses(GROWS, statement)
        await checker.refuses(GROWS, f"{statement} where false")
    if checker.role == "owner":
        await checker.refuses(GROWS, "truncate money_entries")


@rule("tasks.price_is_held")
async def a_price_that_no_escrow_holds_is_refused_at_the_commit(checker: RuleChecker) -> None:
    """HX010 CONSERVATION while a payment for the old price is waited for."""
    change = "update tasks set price = 5000 where id = {draft}"
    await checker.refuses(SUM, change)
    await checker.refuses_commit(SUM, change)
    await checker.allows_commit(
        "update escrows set state = 'CANCELLED', is_current = false where id = {draft_escrow}",
        change,
    )
    await checker.allows_commit(
        "update escrows set state = 'CANCELLED' where id = {draft_escrow}", change
    )
    await checker.allows(change.replace("draft", "bare"))


@rule("processed_stripe_events.processed_stripe_events_append_only")
async def what_was_processed_stays_so(checker: RuleChecker) -> None:
    """HX801: an event that is forgotten would have its effect again."""
    for statement in (
        "delete from processed_stripe_events",
        "update processed_stripe_events set event_id = 'evt_other'",
    ):
        await checker.refuses(GROWS, statement)
        await checker.refuses(GROWS, f"{statement} where false")
    if checker.role == "owner":
        await checker.refuses(GROWS, "truncate processed_stripe_events")
    again = (
        "insert into processed_stripe_events (event_id, event_type, result)"
        " values ('%s', 't', '{{}}')"
    )
    await checker.refuses(("23505", "processed_stripe_events_pkey"), again % "evt_1")
    await checker.allows(again % "evt_2")


@rule("chargebacks.chargeback_guard")
async def a_chargeback_is_of_its_own_payment_and_forgets_nothing(checker: RuleChecker) -> None:
    """HX010: never moved to another escrow; what was told stays told; in doubt it took less."""
    new = (
        "insert into chargebacks (id, escrow_id, payment, amount, reported_inquiry_at)"
        " select '%s', id, %s, 3000, hx_clock() from escrows where id = {%s}"
    )
    own = "stripe_payment_intent_id"
    await checker.refuses(STEP, new % ("dp_2", "'pi_late'", "live_escrow"))
    await checker.allows(new % ("dp_2", own, "live_escrow"))
    name = f"dp_{checker.role}"
    await checker.does(new % (name, own, "working_escrow"))
    change = f"update chargebacks set %s where id = '{name}'"
    for what in (
        "id = 'dp_x'", "escrow_id = {held_escrow}", "payment = 'pi_x'", "opened_at = hx_clock()",
        "reported_inquiry_at = reported_inquiry_at - interval '1 second'",
        "reported_inquiry_at = null, reported_closed_at = hx_clock(), closed_at = hx_clock()",
    ):  # fmt: skip
        await checker.refuses(STEP, change % what)
    await checker.does(change % "amount = 4000, reported_inquiry_at = hx_clock()")
    ends = "%s = hx_clock(), closed_at = hx_clock()"
    await checker.does(change % ends % "reported_closed_at")
    await checker.does(change % ends % "reported_disputed_at = reported_closed_at, reported_won_at")
    await checker.does(change % "amount = 3999, reported_won_at = hx_clock()")
    await checker.refuses(STEP, change % "amount = 4000")
    for received in ("reported_closed_at", "reported_disputed_at", "reported_won_at"):
        await checker.refuses(STEP, change % f"{received} = {received} - interval '1 second'")
    await checker.refuses(STEP, change % "reported_won_at = null")
    with_state = "update chargebacks set state = '%s' where false"
    await checker.refuses(("428C9", ""), with_state % "WON")


@rule("external_refunds.external_refund_guard")
async def a_refund_by_hand_is_of_its_own_payment_and_never_goes_back(checker: RuleChecker) -> None:
    """HX010: PENDING, SUCCEEDED, FAILED in that order; the amount is fixed, but for a sum."""
    new = (
        "insert into external_refunds (id, escrow_id, payment, amount, state, is_sum)"
        " select '%s', id, %s, 100, '%s', %s from escrows where id = {paid_escrow}"
    )
    own = "stripe_payment_intent_id"
    name = f"re_{checker.role}"
    await checker.refuses(STEP, new % (name, "'pi_late'", "PENDING", "false"))
    await checker.does(new % (name, own, "PENDING", "false"))
    await checker.does(new % (f"ch_{checker.role}", own, "SUCCEEDED", "true"))
    change = f"update external_refunds set %s where id = '{name}'"
    for what in (
        "id = 're_x'", "escrow_id = {held_escrow}", "payment = 'pi_x'", "opened_at = hx_clock()",
        "amount = 99", "amount = 101", "is_sum = true, state = 'SUCCEEDED'",
    ):  # fmt: skip
        await checker.refuses(STEP, change % what)
    await checker.allows(change % "state = 'FAILED'")
    await checker.does(change % "state = 'SUCCEEDED'")
    await checker.refuses(STEP, change % "state = 'PENDING'")
    await checker.does(change % "state = 'FAILED'")
    for state in ("PENDING", "SUCCEEDED"):
        await checker.refuses(STEP, change % f"state = '{state}'")
    total = f"update external_refunds set amount = %s where id = 'ch_{checker.role}'"
    await checker.does(total % 101)
    await checker.refuses(STEP, total % 100)


@rule("chargebacks.chargeback_rests", "external_refunds.external_refund_rests")
async def nobody_works_for_money_that_was_taken(checker: RuleChecker) -> None:
    """HX010 COVER at the commit: the task of such a payment has ended, or is disputed."""
    disputed = (
        "insert into chargebacks (id, escrow_id, payment, amount, reported_disputed_at)"
        " select 'dp_3', id, stripe_payment_intent_id, 1, hx_clock() from escrows where id = {%s}"
    )
    refunded = (
        "insert into external_refunds (id, escrow_id, payment, amount, state)"
        " select 're_3', id, stripe_payment_intent_id, 1, '%s' from escrows where id = {%s}"
    )
    for escrow in ("live_escrow", "held_escrow", "working_escrow", "cancelled_escrow"):
        await checker.refuses(COVER, disputed % escrow)
        await checker.refuses(COVER, refunded % ("PENDING", escrow))
        await checker.refuses(COVER, refunded % ("SUCCEEDED", escrow))
        await checker.allows(refunded % ("FAILED", escrow))
    await checker.allows(disputed % "paid_escrow")
    await checker.allows(refunded % ("SUCCEEDED", "paid_escrow"))


async def _held_for_its_bank(checker: RuleChecker) -> tuple[str, str]:
    """A refund that waits for a dispute at the provider: the settlement, and the dispute's name."""
    market = checker.market
    task = await market.funded("STANDARD")
    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    name = f"dp_{task}"
    row = await market.app.fetchrow(
        "select s.id, e.stripe_payment_intent_id as payment from settlements as s"
        " inner join escrows as e on e.id = s.escrow_id where e.task_id = $1",
        task,
    )
    await market.app.execute(
        "select book_provider_event($1, 'charge.dispute.created', jsonb_build_object("
        "'kind', 'CHARGEBACK_OPENED', 'reference', $1::text, 'amount_cents', 4000, 'payment', $2::text),"
        " '{}')",
        name,
        row["payment"],
    )
    return str(row["id"]), name


@rule("settlements.settlement_rests")
async def what_was_taken_is_not_paid_out(checker: RuleChecker) -> None:
    """HX010 COVER while a bank decides; it goes on when it has for us, or an admin says so."""
    settlement, dispute = await _held_for_its_bank(checker)
    goes_on = f"update settlements set state = 'PENDING' where id = '{settlement}'"
    await checker.holds(f"select state = 'HELD' from settlements where id = '{settlement}'")
    await checker.refuses(COVER, goes_on)
    act = (
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason)"
        " values ({admin}, '%s', 'settlement', '%s', 'seen')"
    )
    await checker.allows_commit(act % ("RETRY_SETTLEMENT", settlement), goes_on)
    await checker.refuses_commit(COVER, act % ("BOOK_LEG", settlement), goes_on)
    await checker.refuses_commit(COVER, act % ("RETRY_SETTLEMENT", dispute), goes_on)
    received = (
        f"update chargebacks set %s = hx_clock(), closed_at = hx_clock() where id = '{dispute}'"
    )
    await checker.does(received % "reported_lost_at")
    await checker.refuses(COVER, goes_on)
    await checker.does(received % "reported_won_at")
    await checker.allows(goes_on)


@rule("live_broadcasts.live_broadcast_requires_funded_escrow", "tasks.task_accept_guard")
async def money_that_was_taken_does_not_fund_a_task(checker: RuleChecker) -> None:
    """HX901 for a broadcast, HX016 for an accept, before the commit refuses them as well."""
    taken = {
        "a dispute": "insert into chargebacks (id, escrow_id, payment, amount, reported_disputed_at)"
        " select 'dp_4', id, stripe_payment_intent_id, 1, hx_clock() from escrows where id = {%s}",
        "a refund": "insert into external_refunds (id, escrow_id, payment, amount)"
        " select 're_4', id, stripe_payment_intent_id, 1 from escrows where id = {%s}",
    }
    broadcast = (
        "insert into live_broadcasts (task_id, expires_at, initial_radius_miles, max_radius_miles,"
        " expansion_step_miles, expansion_interval_s)"
        " values ({live}, hx_clock() + interval '10 minutes', 3, 10, 2, 60)"
    )
    accept = (
        "update tasks set state = 'ACCEPTED', assigned_hustler_id = {hustler},"
        " accepted_at = hx_clock() where id = {live}"
    )
    for statement in taken.values():
        async with checker.behind("chargebacks.chargeback_rests") as alone:
            await alone.does(statement % "live_escrow")
            await alone.refuses(("HX901", "LIVE-1"), broadcast)
            await alone.refuses(("HX016", "FUNDED"), accept)


@rule("escrows.escrow_rests")
async def no_payment_that_was_taken_already_is_held_for_a_task(checker: RuleChecker) -> None:
    """HX010 COVER: told before its payment, a dispute stops it all the same."""
    market = checker.market
    task = await market.task("STANDARD")
    escrow = await market.app.fetchval(
        "select begin_funding($1, $2) ->> 'id'", await market.poster_of(task), task
    )
    await checker.does(
        f"update escrows set stripe_payment_intent_id = 'pi_{task}' where id = '{escrow}'"
    )
    funded = f"update escrows set state = 'FUNDED', funded_at = hx_clock() where id = '{escrow}'"
    await checker.allows(funded)
    await checker.does(
        "insert into chargebacks (id, escrow_id, payment, amount, reported_disputed_at)"
        f" values ('dp_{task}', '{escrow}', 'pi_{task}', 1, hx_clock())"
    )
    await checker.refuses(COVER, funded)


@rule("price_proposals.proposal_guard")
async def a_price_is_proposed_by_a_side_before_the_work_begins(checker: RuleChecker) -> None:
    """HX010: no stranger, no task that runs or waits, nothing agreed from birth."""
    new = (
        "insert into price_proposals (task_id, proposer_id, price, state, escrow_id)"
        " values ({%s}, {%s}, 5000, '%s', %s)"
    )
    await checker.refuses(PROPOSAL, new % ("held", "hustler", "OPEN", "null"))
    await checker.refuses(PROPOSAL, new % ("live", "live_poster", "OPEN", "null"))
    await checker.refuses(PROPOSAL, new % ("working", "working_hustler", "OPEN", "null"))
    await checker.refuses(PROPOSAL, new % ("held", "held_hustler", "DECLINED", "null"))
    await checker.refuses(PROPOSAL, new % ("held", "held_hustler", "OPEN", "{held_escrow}"))
    await checker.allows(new % ("held", "held_hustler", "OPEN", "null"))
    await checker.allows(new % ("held", "held_poster", "OPEN", "null"))


@rule("price_proposals.proposal_guard")
async def a_proposal_stays_what_it_was_and_is_agreed_with_its_own_escrow(
    checker: RuleChecker,
) -> None:
    """HX010: along the lifecycle; AGREED names the waiting replacement, APPLIED the paid one."""
    change = "update price_proposals set %s where id = {%s_proposal}"
    for what in (
        "id = gen_random_uuid()",
        "task_id = {held}",
        "proposer_id = {hustler}",
        "price = 9000",
    ):
        await checker.refuses(PROPOSAL, change % (f"state = 'LAPSED', {what}", "proposed"))
    await checker.refuses(PROPOSAL, change % ("price = 9000", "proposed"))
    await checker.refuses(PROPOSAL, change % ("state = 'OPEN'", "applied"))
    for escrow in ("agreed_replacement", "proposed_escrow"):
        await checker.refuses(
            PROPOSAL, change % (f"state = 'AGREED', escrow_id = {{{escrow}}}", "proposed")
        )
    await checker.refuses(PROPOSAL, change % ("state = 'APPLIED'", "agreed"))
    await checker.refuses(
        PROPOSAL, change % ("state = 'LAPSED', escrow_id = {live_escrow}", "agreed")
    )
    await checker.refuses(
        PROPOSAL, change % ("state = 'APPLIED', escrow_id = {applied_replacement}", "agreed")
    )
    await checker.allows(change % ("state = 'LAPSED'", "agreed"))
    await checker.allows(change % ("state = 'DECLINED'", "proposed"))
