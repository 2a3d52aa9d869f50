"""Everything that can be asked about a task, by whoever may ask it, as one table."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg

from tests.engine.money.raw_commands import PLAN, Answer, ask, fire, provider_event
from tests.engine.money.setup import AT_THE_PLACE, Case, draft

Act = Callable[[asyncpg.Connection, Case], Coroutine[Any, Any, Answer]]
NOWHERE = UUID(int=0)

WAITING = frozenset({"UNFUNDED", "INTENDED", "ON_OFFER", "UNCHOSEN", "RAISED"})
DRIVING = frozenset({"ACCEPTED", "PROPOSED", "AGREED"})
UNDER_WAY = DRIVING | {"ARRIVED"}
DISPUTABLE = frozenset({"ARRIVED", "WORKING", "SUBMITTED"})
SETTLES = frozenset({"RESOLVED", "COMPLETED", "CANCELLED"})
ANYWHERE = WAITING | UNDER_WAY | DISPUTABLE | SETTLES | {"DISPUTED"}
PAID = ANYWHERE - {"UNFUNDED", "INTENDED"}


class Action(NamedTuple):
    """One command with its caller, and the points of a task's life at which it is legal."""

    act: Act
    legal_at: frozenset[str]


def command(function: str, who: str, *args: Any) -> Act:
    """A command about the task."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        return await ask(app, function, getattr(case, who), case.task, *args)

    return act


def timer(kind: str, subject: str = "task") -> Act:
    """A timer, made due if it is set."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        return await fire(app, kind, getattr(case, subject) or NOWHERE)

    return act


def person(function: str, *args: Any) -> Act:
    """A command about the hustler alone."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        return await ask(app, function, case.hustler, *args)

    return act


def about_dispute(function: str, *args: Any) -> Act:
    """An admin's command about the task's dispute."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        dispute = await app.fetchval("select id from disputes where task_id = $1", case.task)
        return await ask(app, function, case.admin, dispute or NOWHERE, *args)

    return act


def about_settlement(function: str, *args: Any, admin: bool = False) -> Act:
    """A command about the settlement of the task's escrow."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        settlement = await settlement_of(app, case)
        if settlement is None:
            return Answer(None, ("NOT_FOUND", ""))
        return await ask(app, function, *((case.admin,) if admin else ()), settlement, *args)

    return act


async def settlement_of(app: asyncpg.Connection, case: Case) -> UUID | None:
    """The newest settlement of the task's money."""
    found: UUID | None = await app.fetchval(
        "select s.id from settlements as s inner join escrows as e on e.id = s.escrow_id"
        " where e.task_id = $1 order by s.created_at desc limit 1",
        case.task,
    )
    return found


def leg(name: str, function: str = "book_leg") -> Act:
    """The provider carried a leg out, or began it, under the key of the settlement."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        settlement = await settlement_of(app, case)
        if settlement is None:
            return Answer(None, ("NOT_FOUND", ""))
        return await ask(app, function, settlement, name, f"{name[:2].lower()}_{settlement.hex}")

    return act


async def create(app: asyncpg.Connection, case: Case) -> Answer:
    """The poster posts another task."""
    return await ask(app, "create_task", case.poster, draft("STANDARD", 2_000))


async def begin(app: asyncpg.Connection, case: Case) -> Answer:
    """The poster wants to pay."""
    return await ask(app, "begin_funding", case.poster, case.task)


def booking(function: str, *args: Any) -> Act:
    """The payment of the escrow that waits for one, or of the task's first."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        escrow = case.replacement or case.escrow
        if escrow is None:
            return Answer(None, ("NOT_FOUND", ""))
        return await ask(app, function, escrow, f"pi_sim_{escrow.hex}", *args)

    return act


def respond(response: str) -> Act:
    """The hustler answers the offer."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        broadcast = case.broadcast or NOWHERE
        return await ask(app, "respond_to_offer", case.hustler, broadcast, response, None)

    return act


async def submit_photos(app: asyncpg.Connection, case: Case) -> Answer:
    """A photo of the hustler's own as proof."""
    key = uuid4().hex
    made = await app.fetchval(
        "insert into uploads (user_id, storage_key, content_type, bytes, width, height, sha256)"
        " values ($1, $2, 'image/jpeg', 9, 1, 1, '') returning id",
        case.hustler,
        key,
    )
    return await ask(app, "submit_photo_proof", case.hustler, case.task, [made])


async def no_show(app: asyncpg.Connection, case: Case) -> Answer:
    """The poster calls it off because the hustler is long overdue (`everybody_is_late`)."""
    return await ask(app, "cancel_task", case.poster, case.task, "NO_SHOW")


def answer(who: str, *, agrees: bool) -> Act:
    """One side answers the price on the table."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        proposal = case.proposal or NOWHERE
        return await ask(app, "answer_proposal", getattr(case, who), case.task, proposal, agrees)

    return act


def chargeback(kind: str) -> Act:
    """The poster's bank takes the payment back, or has decided."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        escrow = case.escrow or NOWHERE
        fact = {
            "kind": kind,
            "reference": f"dp_{escrow.hex}",
            "payment": f"pi_sim_{escrow.hex}",
            "amount_cents": 4_000,
        }
        return await provider_event(app, f"evt_{kind}_{escrow.hex}", fact)

    return act


async def payment_event(app: asyncpg.Connection, case: Case) -> Answer:
    """The provider tells of the payment."""
    escrow = case.replacement or case.escrow or NOWHERE
    amount = await app.fetchval("select amount from escrows where id = $1", escrow)
    fact = {
        "kind": "PAYMENT_SUCCEEDED",
        "escrow_id": escrow,
        "payment": f"pi_sim_{escrow.hex}",
        "amount_cents": amount or 0,
    }
    return await provider_event(app, f"evt_pay_{escrow.hex}", fact)


def leg_event(name: str, end: str) -> Act:
    """The provider tells of a leg."""

    async def act(app: asyncpg.Connection, case: Case) -> Answer:
        settlement = await settlement_of(app, case) or NOWHERE
        amount = await app.fetchval(
            "select case $2 when 'TRANSFER' then release_amount - fee_amount else refund_amount end"
            " from settlements where id = $1",
            settlement,
            name,
        )
        if not amount:
            return Answer(None, ("NOT_FOUND", ""))
        fact = {
            "kind": f"{name}_{end}",
            "settlement_id": settlement,
            "reference": f"{name[:2].lower()}_{settlement.hex}",
            "amount_cents": amount,
        }
        return await provider_event(app, f"evt_{name}_{end}_{settlement.hex}", fact)

    return act


async def account_event(app: asyncpg.Connection, case: Case) -> Answer:
    """The hustler's account can be paid."""
    fact = {
        "kind": "ACCOUNT_UPDATED",
        "account_id": f"acct_{case.hustler.hex}",
        "payouts_enabled": True,
    }
    return await provider_event(app, f"evt_{uuid4().hex}", fact)


async def set_account(app: asyncpg.Connection, case: Case) -> Answer:
    """The hustler says where to be paid."""
    account = f"acct_{case.hustler.hex}"
    return await ask(app, "set_payout_account", case.hustler, account, True)


async def close_item(app: asyncpg.Connection, case: Case) -> Answer:
    """An admin closes whatever waits about the task."""
    item = await app.fetchval(
        "select id from admin_items where closed_at is null"
        " and (subject = $1::text or details ->> 'task_id' = $1::text)",
        str(case.task),
    )
    return await ask(app, "close_admin_item", case.admin, item or NOWHERE, "Seen")


async def dispute_timer(app: asyncpg.Connection, case: Case) -> Answer:
    """Three days of evidence are over."""
    dispute = await app.fetchval("select id from disputes where task_id = $1", case.task)
    return await fire(app, "DISPUTE_DUE", dispute or NOWHERE)


ACTIONS: dict[str, Action] = {
    "create": Action(create, ANYWHERE),
    "edit the title": Action(
        command("edit_task", "poster", '{"title": "Hang two doors"}', None),
        frozenset({"UNFUNDED", "INTENDED"}) | UNDER_WAY,
    ),
    "edit the price": Action(
        command("edit_task", "poster", '{"price": 6000}', None),
        frozenset({"UNFUNDED", "INTENDED"}),
    ),
    "begin funding": Action(begin, ANYWHERE - {"CANCELLED"}),
    "note the payment": Action(booking("record_payment"), ANYWHERE - {"UNFUNDED"}),
    "book the funding": Action(booking("book_funding", PLAN), ANYWHERE - {"UNFUNDED"}),
    "payment event": Action(payment_event, ANYWHERE - {"UNFUNDED"}),
    "accept": Action(command("accept_task", "hustler", None), PAID),
    "accept by a rival": Action(command("accept_task", "rival", None), PAID),
    "accept the offer": Action(respond("ACCEPT"), PAID),
    "decline the offer": Action(respond("DECLINE"), PAID),
    "skip the offer": Action(respond("SKIP"), PAID),
    "arrive": Action(
        command("mark_arrived", "hustler", *AT_THE_PLACE), UNDER_WAY | {"WORKING", "SUBMITTED"}
    ),
    "start": Action(command("start_task", "hustler", True), UNDER_WAY | {"WORKING", "SUBMITTED"}),
    "start with a wrong code": Action(command("start_task", "hustler", False), frozenset()),
    "hand in the code": Action(
        command("submit_proof", "hustler", "CODE", True), UNDER_WAY | {"WORKING"}
    ),
    "hand in nothing": Action(
        command("submit_proof", "hustler", "NONE", True), frozenset({"ARRIVED", "WORKING"})
    ),
    "hand in photos": Action(submit_photos, frozenset({"ARRIVED", "WORKING"})),
    "approve": Action(command("approve_task", "poster"), frozenset({"SUBMITTED", "COMPLETED"})),
    "reject": Action(command("reject_task", "poster", "Not clean"), frozenset({"SUBMITTED"})),
    "dispute by the poster": Action(
        command("dispute_task", "poster", "Not done"), DISPUTABLE | {"DISPUTED"}
    ),
    "dispute by the hustler": Action(command("dispute_task", "hustler", "Done"), DISPUTABLE),
    "evidence of the poster": Action(
        command("add_evidence", "poster", "See", []), frozenset({"DISPUTED"})
    ),
    "evidence of the hustler": Action(
        command("add_evidence", "hustler", "Look", []), frozenset({"DISPUTED"})
    ),
    "release": Action(command("release_task", "hustler", None, PLAN), UNDER_WAY),
    "cancel": Action(command("cancel_task", "poster", None), WAITING | DRIVING | {"CANCELLED"}),
    "no-show": Action(no_show, WAITING | DRIVING | {"CANCELLED"}),
    "switch to standard": Action(
        command("choose_after_broadcast", "poster", "SWITCH_TO_STANDARD", None),
        frozenset({"UNCHOSEN", "RAISED"}),
    ),
    "increase the price": Action(
        command("choose_after_broadcast", "poster", "INCREASE_PRICE", 7_000),
        frozenset({"UNCHOSEN", "RAISED"}),
    ),
    "choose to cancel": Action(
        command("choose_after_broadcast", "poster", "CANCEL", None),
        frozenset({"UNCHOSEN", "RAISED", "CANCELLED"}),
    ),
    "propose by the poster": Action(
        command("propose_price", "poster", 3_000), DRIVING | {"ARRIVED"}
    ),
    "propose by the hustler": Action(command("propose_price", "hustler", 8_000), UNDER_WAY),
    "agree": Action(answer("poster", agrees=True), frozenset({"PROPOSED", "AGREED"})),
    "decline": Action(answer("poster", agrees=False), frozenset({"PROPOSED"})),
    "withdraw": Action(answer("hustler", agrees=False), frozenset({"PROPOSED"})),
    "book the transfer": Action(leg("TRANSFER"), SETTLES),
    "book the refund": Action(leg("REFUND"), SETTLES),
    "note the transfer": Action(leg("TRANSFER", "record_leg"), SETTLES),
    "note the refund": Action(leg("REFUND", "record_leg"), SETTLES),
    "transfer event": Action(
        leg_event("TRANSFER", "SUCCEEDED"), frozenset({"RESOLVED", "COMPLETED"})
    ),
    "refund event": Action(leg_event("REFUND", "SUCCEEDED"), frozenset({"RESOLVED", "CANCELLED"})),
    "refund failed event": Action(
        leg_event("REFUND", "FAILED"), frozenset({"RESOLVED", "CANCELLED"})
    ),
    "transfer reversed event": Action(
        leg_event("TRANSFER", "REVERSED"), frozenset({"RESOLVED", "COMPLETED"})
    ),
    "settlement failed": Action(about_settlement("settlement_failed", "No bank"), SETTLES),
    "hold the settlement": Action(about_settlement("hold_settlement", "No account"), SETTLES),
    "retry the settlement": Action(
        about_settlement("retry_settlement", "Try again", admin=True), SETTLES
    ),
    "payout account": Action(set_account, ANYWHERE),
    "account event": Action(account_event, ANYWHERE),
    "chargeback opened": Action(chargeback("CHARGEBACK_OPENED"), ANYWHERE),
    "chargeback won": Action(chargeback("CHARGEBACK_WON"), ANYWHERE),
    "chargeback lost": Action(chargeback("CHARGEBACK_LOST"), ANYWHERE),
    "resolve for the hustler": Action(
        about_dispute("resolve_dispute", "HUSTLER", None, "Done"), frozenset({"DISPUTED"})
    ),
    "resolve for the poster": Action(
        about_dispute("resolve_dispute", "POSTER", None, "Not done"), frozenset({"DISPUTED"})
    ),
    "resolve as a split": Action(
        about_dispute("resolve_dispute", "SPLIT", 1_000, "Half done"),
        frozenset({"DISPUTED", "RESOLVED"}),
    ),
    "ask for evidence": Action(
        about_dispute("advance_dispute", "EVIDENCE_REQUESTED", "Say more"), frozenset({"DISPUTED"})
    ),
    "escalate": Action(
        about_dispute("advance_dispute", "ESCALATED", "Hard"), frozenset({"DISPUTED"})
    ),
    "dispute by an admin": Action(command("admin_dispute_task", "admin", "Stuck"), DISPUTABLE),
    "cancel by an admin": Action(command("admin_cancel_task", "admin", "Stuck"), WAITING | DRIVING),
    "unlock the codes": Action(command("unlock_codes", "admin", "Typo"), ANYWHERE),
    "close an item": Action(close_item, frozenset()),
    "go live": Action(person("go_live", None, None), ANYWHERE),
    "end live": Action(person("end_live", "OFFLINE"), ANYWHERE),
    "end away": Action(person("expire_idle_session"), ANYWHERE),
    "UNFUNDED timer": Action(timer("UNFUNDED"), frozenset({"UNFUNDED", "INTENDED"})),
    "DEADLINE timer": Action(timer("DEADLINE"), ANYWHERE),
    "BROADCAST_END timer": Action(timer("BROADCAST_END", "broadcast"), frozenset({"ON_OFFER"})),
    "CHOICE timer": Action(timer("CHOICE"), frozenset({"UNCHOSEN", "RAISED"})),
    "CHOICE_REMINDER timer": Action(timer("CHOICE_REMINDER"), frozenset({"UNCHOSEN", "RAISED"})),
    "REVIEW timer": Action(timer("REVIEW"), frozenset({"SUBMITTED"})),
    "REVIEW_REMINDER timer": Action(timer("REVIEW_REMINDER"), frozenset({"SUBMITTED"})),
    "WORKING_STALE timer": Action(timer("WORKING_STALE"), frozenset({"WORKING"})),
    "REPLACEMENT timer": Action(
        timer("REPLACEMENT", "replacement"), frozenset({"RAISED", "AGREED"})
    ),
    "FUNDS_HELD timer": Action(timer("FUNDS_HELD", "escrow"), PAID),
    "DISPUTE_DUE timer": Action(dispute_timer, frozenset({"DISPUTED"})),
    "TRUST_REVIEW timer": Action(timer("TRUST_REVIEW", "hustler"), ANYWHERE),
}
