"""Money: what is held, what moves it, and the journal that adds up."""

from __future__ import annotations

from tests.sql.rules.judge import Judge, rule
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
        "chargebacks_told",
        (
            "insert into chargebacks (id, escrow_id, payment, amount)"
            " values ('dp_9', {paid_escrow}, 'pi', 1)"
        ),
        (
            "insert into chargebacks (id, escrow_id, payment, amount, told_inquiry_at)"
            " values ('dp_9', {paid_escrow}, 'pi', 1, hx_clock())"
        ),
    ),
    (
        "chargebacks_closed",
        "told_lost_at = hx_clock(), closed_at = null",
        "told_lost_at = hx_clock(), closed_at = hx_clock()",
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
async def an_escrow_s_amount_never_changes(judge: Judge) -> None:
    """HX004 (INV-4) in every state, the ended ones included."""
    for escrow in (
        "draft_escrow", "live_escrow", "disputed_escrow", "paid_escrow", "refunded_escrow",
        "split_escrow", "void_escrow",
    ):  # fmt: skip
        await judge.refuses(
            ("HX004", "INV-4"), f"UPDATE escrows SET amount = 9999 WHERE id = {{{escrow}}}"
        )
    await judge.allows("update escrows set amount = amount")


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
async def money_is_released_only_for_a_completed_task(judge: Judge) -> None:
    """HX201 (INV-2): whole or in part, held or locked, by the bare UPDATE of the specification."""
    verdict = ("HX201", "INV-2")
    await judge.refuses(verdict, "UPDATE escrows SET state = 'RELEASED' WHERE id = {live_escrow}")
    for task in ("live", "working", "submitted", "disputed"):
        for state in ("RELEASED", "REFUND_PARTIAL"):
            await judge.refuses(
                verdict, f"UPDATE escrows SET state = '{state}' WHERE id = {{{task}_escrow}}"
            )
    await judge.refuses(
        verdict,
        "UPDATE escrows SET state = 'RELEASED' FROM tasks WHERE tasks.id = escrows.task_id"
        " AND tasks.state <> 'COMPLETED' AND escrows.state = 'FUNDED'",
    )
    await judge.refuses(
        verdict, "insert into escrows (task_id, amount, state) values ({bare}, 4000, 'RELEASED')"
    )
    done, _ = await judge.market.submitted()
    await judge.does("update proofs set state = 'ACCEPTED' where task_id = $1", done)
    await judge.does("update tasks set state = 'COMPLETED' where id = $1", done)
    release = (
        "update escrows set state = 'RELEASED', release_amount = amount, fee_amount = 600,"
        f" stripe_transfer_id = 'tr_x' where task_id = '{done}'"
    )
    # before a settlement has moved the money it is not released
    await judge.refuses(STEP, release)
    await judge.allows_commit(*settled(done, "RELEASE", 4_000, 0), release)


@rule("escrows.escrow_terminal_guard")
async def an_ended_escrow_is_frozen_but_for_updated_at(judge: Judge) -> None:
    """HX002 for each of the four ends."""
    verdict = ("HX002", "ESCROW-TERMINAL")
    await judge.refuses(verdict, "UPDATE escrows SET state = 'FUNDED' WHERE state = 'RELEASED'")
    for task in ("paid", "refunded", "split", "void"):
        for change in (
            "state = 'FUNDED'", "refund_amount = 1", "is_current = false",
            "stripe_transfer_id = 'tr_x'",
        ):  # fmt: skip
            await judge.refuses(
                verdict, f"update escrows set {change} where id = {{{task}_escrow}}"
            )
        await judge.allows(
            f"update escrows set updated_at = hx_clock() where id = {{{task}_escrow}}"
        )


NEW = "insert into escrows (task_id, amount, state, is_current, replaces) values "


@rule("escrows.escrow_transition_guard")
async def an_escrow_is_born_pending_for_its_task_s_price(judge: Judge) -> None:
    """HX010: not funded, not for less, not beside the current one unless it replaces it."""
    await judge.refuses(STEP, NEW + "({bare}, 4000, 'FUNDED', true, null)")
    await judge.refuses(STEP, NEW + "({bare}, 3999, 'PENDING', true, null)")
    await judge.refuses(STEP, NEW + "({bare}, 4000, 'PENDING', false, null)")
    await judge.refuses(STEP, NEW + "({bare}, 4000, 'PENDING', true, {held_escrow})")
    await judge.refuses(STEP, NEW + "({bare}, 5000, 'PENDING', false, {held_escrow})")
    await judge.refuses(STEP, NEW + "({draft}, 5000, 'PENDING', false, {draft_escrow})")
    await judge.refuses(STEP, NEW + "({applied}, 5000, 'PENDING', false, {applied_replaced})")
    await judge.refuses(STEP, NEW + "({cancelled}, 4000, 'PENDING', true, null)")
    await judge.allows(NEW + "({bare}, 4000, 'PENDING', true, null)")
    await judge.allows(NEW + "({held}, 5000, 'PENDING', false, {held_escrow})")


@rule("escrows.escrow_transition_guard")
async def an_escrow_keeps_its_name_its_payment_and_what_it_replaces(judge: Judge) -> None:
    """HX010: a payment once named stays, and is named while it is waited for."""
    change = "update escrows set %s where id = {%s}"
    await judge.refuses(STEP, change % ("id = gen_random_uuid()", "draft_escrow"))
    await judge.refuses(STEP, change % ("replaces = {held_escrow}", "draft_escrow"))
    await judge.refuses(STEP, change % ("replaces = null", "agreed_replacement"))
    await judge.refuses(STEP, change % ("created_at = hx_clock()", "agreed_replacement"))
    name = "stripe_payment_intent_id = 'pi_other'"
    await judge.refuses(STEP, change % (name, "live_escrow"))
    await judge.refuses(
        STEP, change % ("stripe_payment_intent_id = null, state = 'CANCELLED'", "live_escrow")
    )
    await judge.refuses(STEP, change % ("stripe_payment_intent_id = 'pi_late'", "draft_escrow"))
    await judge.allows(change % (name, "draft_escrow"))


@rule("escrows.escrow_transition_guard")
async def an_escrow_is_refunded_only_when_its_task_ended_or_it_was_replaced(
    judge: Judge,
) -> None:
    """HX010: no refund of a running task, none of completed work, none by another command."""
    refund = (
        "update escrows set state = 'REFUNDED', refund_amount = amount, stripe_refund_id = 're_x'"
        " where id = {%s}"
    )
    for escrow in ("live_escrow", "held_escrow", "submitted_escrow", "completed_escrow"):
        await judge.refuses(STEP, refund % escrow)
    task = await judge.market.funded("STANDARD")
    await judge.does("update tasks set state = 'CANCELLED' where id = $1", task)
    ended = refund.replace("where id = {%s}", f"where task_id = '{task}'")
    await judge.refuses(STEP, ended)
    await judge.allows_commit(*settled(task, "REFUND", 0, 4_000), ended)


@rule("escrows.escrow_transition_guard")
async def an_escrow_ends_as_its_settlement_did(judge: Judge) -> None:
    """HX010: not before the money moved, nor with other figures or references."""
    end = (
        "update escrows set state = 'RELEASED', release_amount = 4000, fee_amount = 600,"
        " stripe_transfer_id = '%s' where task_id = $1"
    )
    task, _ = await judge.market.completed()
    await judge.refuses(STEP, end % "tr_x", task)
    await judge.refuses(STEP, end.replace("RELEASED", "CANCELLED") % "tr_x", task)
    await judge.does(
        "update settlements set transfer_reference = 'tr_' || id where escrow_id ="
        " (select id from escrows where task_id = $1)",
        task,
    )
    begun = "' || (select s.id from settlements as s where s.escrow_id = escrows.id) || '"
    await judge.refuses(STEP, end % f"tr_{begun}", task)
    async with judge.behind("settlements", "escrows.escrow_adds_up") as alone:
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
    async with judge.behind("settlements", "escrows.escrow_adds_up") as alone:
        await alone.does(
            "update settlements set state = 'DONE', refund_done = true, done_at = hx_clock(),"
            " refund_reference = 're_mine' where id = {cancelled_settlement}"
        )
        await alone.refuses(STEP, refund % "600")
        await alone.allows(refund % "null")


@rule("escrows.escrow_transition_guard")
async def money_is_held_only_for_a_task_that_waits_for_it(judge: Judge) -> None:
    """HX010: a payment for an ended task is no funding; it goes back."""
    fund = "update escrows set state = 'FUNDED', stripe_payment_intent_id = $2 where task_id = $1"
    task = await judge.market.task("STANDARD")
    await judge.market.store.perform("begin_funding", await judge.market.poster_of(task), task)
    await judge.allows(fund, task, f"pi_in_time_{judge.role}")
    await judge.does("update tasks set state = 'CANCELLED' where id = $1", task)
    await judge.refuses(STEP, fund, task, f"pi_too_late_{judge.role}")


@rule("escrows.escrow_transition_guard")
async def a_locked_escrow_ends_as_the_dispute_was_decided(judge: Judge) -> None:
    """HX010: not for the other side, not for another share, and not before the decision."""
    refund = (
        "update escrows set state = 'REFUNDED', refund_amount = amount, stripe_refund_id = 're_x'"
        " where task_id = $1"
    )
    task, _ = await judge.market.disputed()
    await judge.refuses(STEP, refund, task)
    await judge.refuses(STEP, "update escrows set state = 'FUNDED' where task_id = $1", task)
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
        await judge.does(step, task)
    split = (
        "update escrows set state = 'REFUND_PARTIAL', release_amount = $2::integer,"
        " refund_amount = 4000 - $2::integer, fee_amount = platform_fee_cents($2::integer),"
        " stripe_transfer_id = 'tr_x', stripe_refund_id = 're_x' where task_id = $1"
    )
    await judge.refuses(STEP, refund, task)
    await judge.refuses(STEP, split, task, 2_000)
    await judge.refuses(STEP, split, task, 1_000)
    await judge.allows_commit(
        *settled(task, "SPLIT", 1_000, 3_000),
        split.replace("$2::integer", "1000").replace("$1", f"'{task}'"),
    )


@rule("escrows.escrow_transition_guard")
async def a_replaced_escrow_is_refunded_though_its_heir_was_replaced_too(judge: Judge) -> None:
    """HX010 only where nothing that was paid took over."""
    market = judge.market
    task, hustler = await market.agreed(5_000)
    first = await judge.value("select id from escrows where task_id = $1 and is_current", task)
    poster = await market.poster_of(task)
    await market.commands.money.fund(poster, task)
    proposal = await market.commands.pricing.propose(hustler, task, 6_000)
    await market.commands.pricing.answer(poster, task, proposal, agrees=True)
    await market.commands.money.fund(poster, task)
    await judge.does("update settlements set attempts = 1 where escrow_id = $1", first)
    await judge.allows(
        "select book_leg(id, 'REFUND', 're_' || id) from settlements where escrow_id = $1", first
    )
    async with judge.behind() as alone:
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
async def an_escrow_is_locked_only_by_an_open_dispute_of_its_own(judge: Judge) -> None:
    """HX010: nobody freezes another's money."""
    lock = "update escrows set state = 'LOCKED_DISPUTE' where task_id = $1"
    task, hustler = await judge.market.working()
    await judge.refuses(STEP, lock, task)
    await judge.does(
        "insert into disputes (task_id, escrow_id, opened_by, side, reason, evidence_due_at)"
        " select $1, id, $2, 'HUSTLER', 'why', hx_clock() from escrows where task_id = $1",
        task,
        hustler,
    )
    await judge.allows(lock, task)
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
        await judge.does(step, task)
    await judge.refuses(STEP, lock, task)


@rule("escrows.escrow_transition_guard")
async def the_flag_moves_only_to_a_paid_replacement(judge: Judge) -> None:
    """HX010: no held escrow is set aside, and none takes over unpaid."""
    flag = "update escrows set is_current = %s where id = {%s}"
    await judge.refuses(STEP, flag % ("false", "live_escrow"))
    await judge.refuses(STEP, flag % ("false", "agreed_replaced"))
    await judge.refuses(STEP, flag % ("true", "agreed_replacement"))
    await judge.refuses(STEP, flag % ("false", "draft_escrow"))
    await judge.refuses(STEP, flag % ("true", "applied_replaced"))
    await judge.allows("update escrows set state = 'CANCELLED', is_current = false"
                       " where id = {draft_escrow}")  # fmt: skip


@rule("escrows.escrow_transition_guard")
async def an_escrow_changes_its_task_only_with_the_successor_of_an_ended_one(
    judge: Judge,
) -> None:
    """HX010: no money is routed to another task, by whatever tasks are cancelled or posted."""
    market = judge.market
    move = "update escrows set task_id = $2 where task_id = $1"
    gone, mine = await market.funded("STANDARD"), await market.task("STANDARD")
    await judge.refuses(STEP, move, gone, mine)
    await judge.does("update tasks set state = 'CANCELLED' where id = $1", gone)
    await judge.refuses(STEP, move, gone, mine)
    await judge.refuses(
        ("HX010", "TRANSITION"), "update tasks set predecessor_id = $1 where id = $2", gone, mine
    )
    heir = await judge.value(
        "insert into tasks (mode, state, title, description, category, price, location_lat,"
        " location_lng, place_lat, place_lng, partition, poster_id, predecessor_id) select 'STANDARD',"
        " 'OPEN', 't', 'd', 'c', price, 1, 1, 1, 1, 0, poster_id, id from tasks where id = $1"
        " returning id",
        gone,
    )
    await judge.allows(move, gone, heir)
    await judge.does("update tasks set price = 3000 where id = $1", heir)
    await judge.refuses(STEP, move, gone, heir)
    await judge.refuses(STEP, "update escrows set task_id = {bare} where id = {cancelled_escrow}")

    poster = await market.user("poster")
    one, other = [await market.funded("STANDARD", poster=poster) for _ in range(2)]
    await judge.does("update tasks set state = 'CANCELLED' where poster_id = $1", poster)
    heir = await judge.value(
        "insert into tasks (mode, state, title, description, category, price, location_lat,"
        " location_lng, place_lat, place_lng, partition, poster_id, predecessor_id) select 'STANDARD',"
        " 'OPEN', 't', 'd', 'c', price, 1, 1, 1, 1, 0, poster_id, id from tasks where id = $1"
        " returning id",
        other,
    )
    await judge.refuses(STEP, move, one, heir)
    await judge.allows(move, other, heir)


@rule("settlements.settlement_guard")
async def a_settlement_moves_its_escrow_s_money_and_no_other(judge: Judge) -> None:
    """HX201 before completion; HX010 for another amount, another end, or money that is not held."""
    new = (
        "insert into settlements (escrow_id, kind, release_amount, fee_amount, refund_amount%s)"
        " select id, '%s', %d, platform_fee_cents(%d), %d%s from escrows where id = {%s}"
    )

    def settle(
        kind: str, release: int, refund: int, escrow: str, more: tuple[str, str] = ("", "")
    ) -> str:
        return new % (more[0], kind, release, release, refund, more[1], escrow)

    await judge.refuses(("HX201", "INV-2"), settle("RELEASE", 4_000, 0, "live_escrow"))
    await judge.refuses(("HX201", "INV-2"), settle("SPLIT", 1_000, 3_000, "disputed_escrow"))
    for escrow in ("live_escrow", "held_escrow", "disputed_escrow", "draft_escrow", "void_escrow"):
        await judge.refuses(STEP, settle("REFUND", 0, 4_000, escrow))

    done, _ = await judge.market.submitted()
    await judge.does("update proofs set state = 'ACCEPTED' where task_id = $1", done)
    await judge.does("update tasks set state = 'COMPLETED' where id = $1", done)
    of_done = "(select id from escrows where task_id = $1)"

    async def done_settles(statement: str, *, fine: bool = False) -> None:
        statement = statement.replace("{x}", of_done)
        if fine:
            await judge.allows(statement, done)
        else:
            await judge.refuses(STEP, statement, done)

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
async def a_late_payment_that_is_given_back_is_its_own_escrow_s(judge: Judge) -> None:
    """HX010: nobody has another escrow's payment refunded."""
    new = (
        "insert into settlements (escrow_id, kind, refund_amount, payment)"
        " values ({void_escrow}, 'REFUND', 4000, %s)"
    )
    payment = "(select stripe_payment_intent_id from escrows where id = {live_escrow})"
    await judge.refuses(STEP, new % payment)
    await judge.refuses(STEP, (new % payment).replace("{void_escrow}", "{live_escrow}"))
    await judge.refuses(("23505", "settlements_payment_once"), new % "'pi_late'")
    await judge.allows(new % "'pi_new'")


@rule("settlements.settlement_guard")
async def a_settlement_changes_only_its_progress(judge: Judge) -> None:
    """HX010: not what it moves, not a leg that is done, not one that is DONE."""
    change = "update settlements set %s where id = {%s}"
    for what in (
        "id = gen_random_uuid()",
        "escrow_id = {live_escrow}",
        "kind = 'REFUND', release_amount = 0, fee_amount = 0, refund_amount = 4000",
        "release_amount = 9000, fee_amount = 1350",
        "payment = 'pi_x'",
    ):
        await judge.refuses(STEP, change % (what, "completed_settlement"))
    await judge.refuses(STEP, change % ("refund_amount = 9000", "cancelled_settlement"))
    for what in ("attempts = 9", "state = 'PENDING'", "transfer_reference = 'tr_x'"):
        await judge.refuses(STEP, change % (what, "paid_settlement"))
    await judge.allows(change % ("attempts = 9, last_error = 'x'", "completed_settlement"))

    task, _ = await judge.market.disputed()
    await judge.market.app.execute(
        "select resolve_dispute((select id from users where role = 'admin' limit 1), id, 'SPLIT',"
        " 1000, 'r') from disputes where task_id = $1",
        task,
    )
    own = "update settlements set %s where escrow_id = (select id from escrows where task_id = $1)"
    await judge.does(
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
        await judge.refuses(STEP, own % what, task)
    await judge.allows(own % "attempts = 1", task)


@rule("escrows.escrow_journal")
async def the_journal_follows_the_escrow(judge: Judge) -> None:
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
            await judge.holds(journal % escrow, entries)
    fund = (
        "update escrows set state = 'FUNDED', stripe_payment_intent_id = 'pi_journal'"
        " where id = {draft_escrow}"
    )
    await judge.allows(fund)


@rule("settlements.late_payment_journal")
async def a_late_payment_comes_in_and_goes_out_again(judge: Judge) -> None:
    """A charge with the settlement, a refund when it is done."""
    market = judge.market
    task = await market.task()
    await market.store.perform("begin_funding", await market.poster_of(task), task)
    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    await judge.does(
        "insert into settlements (escrow_id, kind, refund_amount, payment)"
        " select id, 'REFUND', 4000, 'pi_' || id from escrows where task_id = $1",
        task,
    )
    journal = (
        "select array_agg(m.kind || m.amount order by m.kind) = $2::text[] from money_entries as m"
        " inner join escrows as e on e.id = m.escrow_id where e.task_id = $1"
    )
    await judge.holds(journal, task, ["CHARGE4000"])
    await market.settle(task)
    await judge.holds(journal, task, ["CHARGE4000", "REFUND-4000"])


@rule("escrows.escrow_adds_up")
async def what_an_escrow_holds_stands_in_the_journal(judge: Judge) -> None:
    """HX010 CONSERVATION at the commit, in a transaction of one statement and of several."""
    fund = (
        "update escrows set state = 'FUNDED', stripe_payment_intent_id = 'pi_silent'"
        " where id = {draft_escrow}"
    )
    async with judge.behind("escrows.escrow_journal") as alone:
        await alone.does(fund)
        await alone.refuses(SUM, "set constraints all immediate")
    await judge.allows(fund)


@rule("escrows.escrow_adds_up")
async def a_task_costs_what_its_current_escrow_holds(judge: Judge) -> None:
    """HX010 CONSERVATION: a replacement takes over with the task's price, or not at all."""
    task, _ = await judge.market.agreed()
    await judge.market.app.execute(
        "select note_payment(id, 'pi_' || id) from escrows where task_id = $1 and not is_current",
        task,
    )
    ids = {
        "new": await judge.value(
            "select id from escrows where task_id = $1 and not is_current", task
        ),
        "old": await judge.value("select id from escrows where task_id = $1 and is_current", task),
    }
    steps = [
        f"update escrows set state = 'FUNDED' where id = '{ids['new']}'",
        f"update escrows set is_current = false where id = '{ids['old']}'",
        f"update escrows set is_current = true where id = '{ids['new']}'",
    ]
    price = f"update tasks set price = 5000 where id = '{task}'"
    for count in (1, 2, 3):
        await judge.refuses_commit(SUM, *steps[:count])
    await judge.allows_commit(*steps, price)

    async with judge.behind("tasks") as alone:
        await alone.does("update tasks set price = 9000 where id = {agreed}")
        await alone.does("update escrows set updated_at = hx_clock() where id = {agreed_replaced}")
        await alone.refuses(SUM, "set constraints all immediate")
    async with judge.behind() as alone:
        await alone.does(NEW + "({held}, 4000, 'PENDING', false, {held_escrow})")
        await alone.does(
            "update escrows set state = 'FUNDED', stripe_payment_intent_id = 'pi_beside'"
            " where replaces = {held_escrow}"
        )
        await alone.refuses(SUM, "set constraints all immediate")


@rule("settlements.settlement_adds_up")
async def a_settlement_is_not_done_while_its_money_is_held(judge: Judge) -> None:
    """HX010 CONSERVATION: DONE and the escrow's end are booked together."""
    task, _ = await judge.market.completed()
    done = (
        "update settlements set state = 'DONE', transfer_done = true, done_at = hx_clock(),"
        f" transfer_reference = 'tr_{task}' where escrow_id ="
        f" (select id from escrows where task_id = '{task}')"
    )
    await judge.refuses(SUM, done)
    await judge.refuses_commit(SUM, done)
    await judge.allows_commit(
        done,
        "update escrows set state = 'RELEASED', release_amount = 4000, fee_amount = 600,"
        f" stripe_transfer_id = 'tr_{task}' where task_id = '{task}'",
    )


@rule("money_entries.journal_adds_up")
async def nobody_writes_money_into_the_journal(judge: Judge) -> None:
    """42501 for the service, HX010 CONSERVATION for the owner."""
    entry = (
        "insert into money_entries (escrow_id, kind, amount, reference)"
        " values ({live_escrow}, 'REFUND', -4000, 're_forged')"
    )
    if judge.role == "app":
        await judge.refuses(("42501", ""), entry)
        return
    await judge.refuses(SUM, entry)
    await judge.refuses_commit(SUM, entry)


@rule("money_entries.money_entries_append_only")
async def the_journal_only_grows(judge: Judge) -> None:
    """HX801 (AUDIT-5)."""
    for statement in ("delete from money_entries", "update money_entries set amount = 1"):
        await judge.refuses(GROWS, statement)
        await judge.refuses(GROWS, f"{statement} where false")
    if judge.role == "owner":
        await judge.refuses(GROWS, "truncate money_entries")


@rule("tasks.price_is_held")
async def a_price_that_no_escrow_holds_is_refused_at_the_commit(judge: Judge) -> None:
    """HX010 CONSERVATION while a payment for the old price is waited for."""
    change = "update tasks set price = 5000 where id = {draft}"
    await judge.refuses(SUM, change)
    await judge.refuses_commit(SUM, change)
    await judge.allows_commit(
        "update escrows set state = 'CANCELLED', is_current = false where id = {draft_escrow}",
        change,
    )
    await judge.allows_commit(
        "update escrows set state = 'CANCELLED' where id = {draft_escrow}", change
    )
    await judge.allows(change.replace("draft", "bare"))


@rule("processed_stripe_events.processed_stripe_events_append_only")
async def what_was_processed_stays_so(judge: Judge) -> None:
    """HX801: an event that is forgotten would have its effect again."""
    for statement in (
        "delete from processed_stripe_events",
        "update processed_stripe_events set event_id = 'evt_other'",
    ):
        await judge.refuses(GROWS, statement)
        await judge.refuses(GROWS, f"{statement} where false")
    if judge.role == "owner":
        await judge.refuses(GROWS, "truncate processed_stripe_events")
    again = (
        "insert into processed_stripe_events (event_id, event_type, result)"
        " values ('%s', 't', '{{}}')"
    )
    await judge.refuses(("23505", "processed_stripe_events_pkey"), again % "evt_1")
    await judge.allows(again % "evt_2")


@rule("chargebacks.chargeback_guard")
async def a_chargeback_is_of_its_own_payment_and_forgets_nothing(judge: Judge) -> None:
    """HX010: never moved to another escrow; what was told stays told; in doubt it took less."""
    new = (
        "insert into chargebacks (id, escrow_id, payment, amount, told_inquiry_at)"
        " select '%s', id, %s, 3000, hx_clock() from escrows where id = {%s}"
    )
    own = "stripe_payment_intent_id"
    await judge.refuses(STEP, new % ("dp_2", "'pi_late'", "live_escrow"))
    await judge.allows(new % ("dp_2", own, "live_escrow"))
    name = f"dp_{judge.role}"
    await judge.does(new % (name, own, "working_escrow"))
    change = f"update chargebacks set %s where id = '{name}'"
    for what in (
        "id = 'dp_x'", "escrow_id = {held_escrow}", "payment = 'pi_x'", "opened_at = hx_clock()",
        "told_inquiry_at = told_inquiry_at - interval '1 second'",
        "told_inquiry_at = null, told_closed_at = hx_clock(), closed_at = hx_clock()",
    ):  # fmt: skip
        await judge.refuses(STEP, change % what)
    await judge.does(change % "amount = 4000, told_inquiry_at = hx_clock()")
    ends = "%s = hx_clock(), closed_at = hx_clock()"
    await judge.does(change % ends % "told_closed_at")
    await judge.does(change % ends % "told_disputed_at = told_closed_at, told_won_at")
    await judge.does(change % "amount = 3999, told_won_at = hx_clock()")
    await judge.refuses(STEP, change % "amount = 4000")
    for told in ("told_closed_at", "told_disputed_at", "told_won_at"):
        await judge.refuses(STEP, change % f"{told} = {told} - interval '1 second'")
    await judge.refuses(STEP, change % "told_won_at = null")
    with_state = "update chargebacks set state = '%s' where false"
    await judge.refuses(("428C9", ""), with_state % "WON")


@rule("external_refunds.external_refund_guard")
async def a_refund_by_hand_is_of_its_own_payment_and_never_goes_back(judge: Judge) -> None:
    """HX010: PENDING, SUCCEEDED, FAILED in that order; the amount is fixed, but for a sum."""
    new = (
        "insert into external_refunds (id, escrow_id, payment, amount, state, is_sum)"
        " select '%s', id, %s, 100, '%s', %s from escrows where id = {paid_escrow}"
    )
    own = "stripe_payment_intent_id"
    name = f"re_{judge.role}"
    await judge.refuses(STEP, new % (name, "'pi_late'", "PENDING", "false"))
    await judge.does(new % (name, own, "PENDING", "false"))
    await judge.does(new % (f"ch_{judge.role}", own, "SUCCEEDED", "true"))
    change = f"update external_refunds set %s where id = '{name}'"
    for what in (
        "id = 're_x'", "escrow_id = {held_escrow}", "payment = 'pi_x'", "opened_at = hx_clock()",
        "amount = 99", "amount = 101", "is_sum = true, state = 'SUCCEEDED'",
    ):  # fmt: skip
        await judge.refuses(STEP, change % what)
    await judge.allows(change % "state = 'FAILED'")
    await judge.does(change % "state = 'SUCCEEDED'")
    await judge.refuses(STEP, change % "state = 'PENDING'")
    await judge.does(change % "state = 'FAILED'")
    for state in ("PENDING", "SUCCEEDED"):
        await judge.refuses(STEP, change % f"state = '{state}'")
    total = f"update external_refunds set amount = %s where id = 'ch_{judge.role}'"
    await judge.does(total % 101)
    await judge.refuses(STEP, total % 100)


@rule("chargebacks.chargeback_rests", "external_refunds.external_refund_rests")
async def nobody_works_for_money_that_was_taken(judge: Judge) -> None:
    """HX010 COVER at the commit: the task of such a payment has ended, or is disputed."""
    disputed = (
        "insert into chargebacks (id, escrow_id, payment, amount, told_disputed_at)"
        " select 'dp_3', id, stripe_payment_intent_id, 1, hx_clock() from escrows where id = {%s}"
    )
    refunded = (
        "insert into external_refunds (id, escrow_id, payment, amount, state)"
        " select 're_3', id, stripe_payment_intent_id, 1, '%s' from escrows where id = {%s}"
    )
    for escrow in ("live_escrow", "held_escrow", "working_escrow", "cancelled_escrow"):
        await judge.refuses(COVER, disputed % escrow)
        await judge.refuses(COVER, refunded % ("PENDING", escrow))
        await judge.refuses(COVER, refunded % ("SUCCEEDED", escrow))
        await judge.allows(refunded % ("FAILED", escrow))
    await judge.allows(disputed % "paid_escrow")
    await judge.allows(refunded % ("SUCCEEDED", "paid_escrow"))


async def _held_for_its_bank(judge: Judge) -> tuple[str, str]:
    """A refund that waits for a dispute at the provider: the settlement, and the dispute's name."""
    market = judge.market
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
async def what_was_taken_is_not_paid_out(judge: Judge) -> None:
    """HX010 COVER while a bank decides; it goes on when it has for us, or an operator says so."""
    settlement, dispute = await _held_for_its_bank(judge)
    goes_on = f"update settlements set state = 'PENDING' where id = '{settlement}'"
    await judge.holds(f"select state = 'HELD' from settlements where id = '{settlement}'")
    await judge.refuses(COVER, goes_on)
    act = (
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason)"
        " values ({admin}, '%s', 'settlement', '%s', 'seen')"
    )
    await judge.allows_commit(act % ("RETRY_SETTLEMENT", settlement), goes_on)
    await judge.refuses_commit(COVER, act % ("BOOK_LEG", settlement), goes_on)
    await judge.refuses_commit(COVER, act % ("RETRY_SETTLEMENT", dispute), goes_on)
    told = f"update chargebacks set %s = hx_clock(), closed_at = hx_clock() where id = '{dispute}'"
    await judge.does(told % "told_lost_at")
    await judge.refuses(COVER, goes_on)
    await judge.does(told % "told_won_at")
    await judge.allows(goes_on)


@rule("live_broadcasts.live_broadcast_requires_funded_escrow", "tasks.task_accept_guard")
async def money_that_was_taken_does_not_fund_a_task(judge: Judge) -> None:
    """HX901 for a broadcast, HX016 for an accept, before the commit refuses them as well."""
    taken = {
        "a dispute": "insert into chargebacks (id, escrow_id, payment, amount, told_disputed_at)"
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
        async with judge.behind("chargebacks.chargeback_rests") as alone:
            await alone.does(statement % "live_escrow")
            await alone.refuses(("HX901", "LIVE-1"), broadcast)
            await alone.refuses(("HX016", "FUNDED"), accept)


@rule("escrows.escrow_rests")
async def no_payment_that_was_taken_already_is_held_for_a_task(judge: Judge) -> None:
    """HX010 COVER: told before its payment, a dispute stops it all the same."""
    market = judge.market
    task = await market.task("STANDARD")
    escrow = await market.app.fetchval(
        "select begin_funding($1, $2) ->> 'id'", await market.poster_of(task), task
    )
    await judge.does(
        f"update escrows set stripe_payment_intent_id = 'pi_{task}' where id = '{escrow}'"
    )
    funded = f"update escrows set state = 'FUNDED', funded_at = hx_clock() where id = '{escrow}'"
    await judge.allows(funded)
    await judge.does(
        "insert into chargebacks (id, escrow_id, payment, amount, told_disputed_at)"
        f" values ('dp_{task}', '{escrow}', 'pi_{task}', 1, hx_clock())"
    )
    await judge.refuses(COVER, funded)


@rule("price_proposals.proposal_guard")
async def a_price_is_proposed_by_a_side_before_the_work_begins(judge: Judge) -> None:
    """HX010: no stranger, no task that runs or waits, nothing agreed from birth."""
    new = (
        "insert into price_proposals (task_id, proposer_id, price, state, escrow_id)"
        " values ({%s}, {%s}, 5000, '%s', %s)"
    )
    await judge.refuses(PROPOSAL, new % ("held", "hustler", "OPEN", "null"))
    await judge.refuses(PROPOSAL, new % ("live", "live_poster", "OPEN", "null"))
    await judge.refuses(PROPOSAL, new % ("working", "working_hustler", "OPEN", "null"))
    await judge.refuses(PROPOSAL, new % ("held", "held_hustler", "DECLINED", "null"))
    await judge.refuses(PROPOSAL, new % ("held", "held_hustler", "OPEN", "{held_escrow}"))
    await judge.allows(new % ("held", "held_hustler", "OPEN", "null"))
    await judge.allows(new % ("held", "held_poster", "OPEN", "null"))


@rule("price_proposals.proposal_guard")
async def a_proposal_stays_what_it_was_and_is_agreed_with_its_own_escrow(judge: Judge) -> None:
    """HX010: along the lifecycle; AGREED names the waiting replacement, APPLIED the paid one."""
    change = "update price_proposals set %s where id = {%s_proposal}"
    for what in (
        "id = gen_random_uuid()",
        "task_id = {held}",
        "proposer_id = {hustler}",
        "price = 9000",
    ):
        await judge.refuses(PROPOSAL, change % (f"state = 'LAPSED', {what}", "proposed"))
    await judge.refuses(PROPOSAL, change % ("price = 9000", "proposed"))
    await judge.refuses(PROPOSAL, change % ("state = 'OPEN'", "applied"))
    for escrow in ("agreed_replacement", "proposed_escrow"):
        await judge.refuses(
            PROPOSAL, change % (f"state = 'AGREED', escrow_id = {{{escrow}}}", "proposed")
        )
    await judge.refuses(PROPOSAL, change % ("state = 'APPLIED'", "agreed"))
    await judge.refuses(
        PROPOSAL, change % ("state = 'LAPSED', escrow_id = {live_escrow}", "agreed")
    )
    await judge.refuses(
        PROPOSAL, change % ("state = 'APPLIED', escrow_id = {applied_replacement}", "agreed")
    )
    await judge.allows(change % ("state = 'LAPSED'", "agreed"))
    await judge.allows(change % ("state = 'DECLINED'", "proposed"))
