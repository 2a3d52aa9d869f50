"""Tasks brought to any point of their life by the real commands, by the hundred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from engine.kernel.states import Mode
from engine.money.provider import Movement
from engine.money.providers.simulated import SimulatedPayments
from engine.tasks.draft import TaskDraft
from tests.engine.money.raw_commands import PLAN, ask, fire

POINTS = (
    "UNFUNDED", "INTENDED", "ON_OFFER", "UNCHOSEN", "RAISED", "ACCEPTED", "PROPOSED", "AGREED",
    "ARRIVED", "WORKING", "SUBMITTED", "DISPUTED", "RESOLVED", "COMPLETED", "CANCELLED",
)  # fmt: skip
"""How far a task may be brought:

- UNFUNDED: created; INTENDED: its escrow is PENDING.
- ON_OFFER: funded (LIVE: its broadcast runs, both hustlers have an offer).
- UNCHOSEN: LIVE, nobody accepted in time; RAISED: a higher price waits for its payment.
- PROPOSED: ACCEPTED with a price on the table; AGREED: that price waits for its payment.
- RESOLVED: a split, COMPLETED and CANCELLED: the settlement waits for the provider.
"""
LIVE_ONLY = frozenset({"UNCHOSEN", "RAISED"})


class Ledger(SimulatedPayments):
    """A provider that keeps books: what moved by key, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.charges: dict[UUID, int] = {}
        self.transfers: dict[UUID, int] = {}
        self.refunds: dict[UUID, int] = {}
        self.asked: Counter[UUID] = Counter()

    def _keep(self, book: dict[UUID, int], key: UUID, amount_cents: int) -> None:
        """The same key is the same movement, of the same amount."""
        self.asked[key] += 1
        assert book.setdefault(key, amount_cents) == amount_cents

    async def charge(
        self, key: UUID, amount_cents: int, poster: UUID, *, begun: str | None = None
    ) -> Movement:
        """Write it down."""
        self._keep(self.charges, key, amount_cents)
        return await super().charge(key, amount_cents, poster, begun=begun)

    async def transfer(
        self,
        key: UUID,
        account: str | None,
        hustler: UUID,
        amount_cents: int,
        *,
        escrow: UUID,
        payment: str | None,
    ) -> Movement:
        """Write it down."""
        self._keep(self.transfers, key, amount_cents)
        return await super().transfer(
            key, account, hustler, amount_cents, escrow=escrow, payment=payment
        )

    async def refund(self, key: UUID, payment: str, amount_cents: int, *, escrow: UUID) -> Movement:
        """Write it down."""
        self._keep(self.refunds, key, amount_cents)
        return await super().refund(key, payment, amount_cents, escrow=escrow)


@dataclass
class Cast:
    """Who plays: a poster, the hustler who gets the task, a rival, and an admin."""

    poster: UUID
    hustler: UUID
    rival: UUID
    admin: UUID


@dataclass
class Case(Cast):
    """A task that was set up, and the ids that belong to it."""

    task: UUID = field(default_factory=lambda: UUID(int=0))
    mode: Mode = "LIVE"
    escrow: UUID | None = None
    replacement: UUID | None = None
    broadcast: UUID | None = None
    proposal: UUID | None = None
    dispute: UUID | None = None


async def people(owner: asyncpg.Connection, role: str, count: int) -> list[UUID]:
    """New users of a role, tier VERIFIED."""
    rows = await owner.fetch(
        "insert into users (issuer, subject, role, trust_tier)"
        " select 'setup', gen_random_uuid()::text, $1, 2 from generate_series(1, $2) returning id",
        role,
        count,
    )
    return [row["id"] for row in rows]


async def casts(owner: asyncpg.Connection, count: int) -> list[Cast]:
    """As many casts; they share one admin."""
    posters = await people(owner, "poster", count)
    hustlers = await people(owner, "hustler", 2 * count)
    # one acts; the other decides what the first brought into dispute
    admin, _ = await people(owner, "admin", 2)
    return [
        Cast(poster, hustler, rival, admin)
        for poster, hustler, rival in zip(posters, hustlers[:count], hustlers[count:], strict=True)
    ]


AT_THE_PLACE = (37.77, -122.42, 0.0)
"""A position at the place of every task here, measured just now."""


def draft(mode: Mode, price_cents: int, **more: Any) -> str:
    """A task as its poster describes it."""
    fields = {
        "mode": mode,
        "title": "Hang a door",
        "description": "It came off.",
        "category": "handyman",
        "price_cents": price_cents,
        "lat": AT_THE_PLACE[0],
        "lng": AT_THE_PLACE[1],
        "address": "1 Main St",
        "place_lat": 37.771,
        "place_lng": -122.421,
        "partition": 7,
        "requires_proof": False,
    }
    return msgspec.json.encode(TaskDraft(**{**fields, **more})).decode()


class Setup:
    """Brings tasks to their points over one connection."""

    def __init__(self, app: asyncpg.Connection, payments: Ledger) -> None:
        self._app = app
        self._payments = payments

    async def bring(
        self, cast: Cast, point: str, mode: Mode = "LIVE", *, price_cents: int = 4_000, **more: Any
    ) -> Case:
        """A new task of these people at `point`, the hustler in an ACTIVE session."""
        made = await ask(self._app, "create_task", cast.poster, draft(mode, price_cents, **more))
        case = Case(
            cast.poster,
            cast.hustler,
            cast.rival,
            cast.admin,
            made.done().task_id or UUID(int=0),
            mode,
        )
        for step in _PATHS[point]:
            await getattr(self, f"_{step}")(case)
        return case

    async def pay(self, escrow: UUID, amount_cents: int, poster: UUID) -> None:
        """Charge, and book it."""
        paid = await self._payments.charge(escrow, amount_cents, poster)
        (await ask(self._app, "book_funding", escrow, paid.reference, PLAN)).done()

    async def _do(self, function: str, *args: Any) -> UUID | None:
        return (await ask(self._app, function, *args)).done().subject_id

    async def _intend(self, case: Case) -> None:
        begun = await self._app.fetchval("select begin_funding($1, $2)", case.poster, case.task)
        case.escrow = UUID(msgspec.json.decode(begun)["id"])

    async def _fund(self, case: Case) -> None:
        assert case.escrow is not None
        price = await self._app.fetchval("select amount from escrows where id = $1", case.escrow)
        await self.pay(case.escrow, price, case.poster)
        if case.mode == "LIVE":
            case.broadcast = await self._app.fetchval(
                "select id from live_broadcasts where task_id = $1", case.task
            )
            for hustler in (case.hustler, case.rival):
                await self._do("go_live", hustler, None, None)
                await self._app.execute(
                    "insert into offers (broadcast_id, hustler_id, task_id, distance_miles,"
                    " matching_score) values ($1, $2, $3, 1, 0.8)",
                    case.broadcast,
                    hustler,
                    case.task,
                )

    async def _outlast(self, case: Case) -> None:
        assert case.broadcast is not None
        (await fire(self._app, "BROADCAST_END", case.broadcast)).done()

    async def _raise(self, case: Case) -> None:
        case.replacement = await self._do(
            "choose_after_broadcast", case.poster, case.task, "INCREASE_PRICE", 4_500
        )

    async def _accept(self, case: Case) -> None:
        answer = await ask(self._app, "accept_task", case.hustler, case.task, None)
        assert answer.done().outcome == "WON"

    async def _propose(self, case: Case) -> None:
        case.proposal = await self._do("propose_price", case.hustler, case.task, 5_000)

    async def _agree(self, case: Case) -> None:
        await self._do("answer_proposal", case.poster, case.task, case.proposal, True)
        case.replacement = await self._app.fetchval(
            "select escrow_id from price_proposals where id = $1", case.proposal
        )

    async def _arrive(self, case: Case) -> None:
        await self._do("mark_arrived", case.hustler, case.task, *AT_THE_PLACE)

    async def _start(self, case: Case) -> None:
        await self._do("start_task", case.hustler, case.task, True)

    async def _submit(self, case: Case) -> None:
        await self._do("submit_proof", case.hustler, case.task, "CODE", True)

    async def _dispute(self, case: Case) -> None:
        case.dispute = await self._do("dispute_task", case.poster, case.task, "Not what I asked")

    async def _resolve(self, case: Case) -> None:
        await self._do("resolve_dispute", case.admin, case.dispute, "SPLIT", 1_000, "Half done")

    async def _approve(self, case: Case) -> None:
        await self._do("approve_task", case.poster, case.task)

    async def _cancel(self, case: Case) -> None:
        await self._do("cancel_task", case.poster, case.task, None)


_PATHS: dict[str, Sequence[str]] = {
    "UNFUNDED": (),
    "INTENDED": ("intend",),
    "ON_OFFER": ("intend", "fund"),
    "UNCHOSEN": ("intend", "fund", "outlast"),
    "RAISED": ("intend", "fund", "outlast", "raise"),
    "ACCEPTED": ("intend", "fund", "accept"),
    "PROPOSED": ("intend", "fund", "accept", "propose"),
    "AGREED": ("intend", "fund", "accept", "propose", "agree"),
    "ARRIVED": ("intend", "fund", "accept", "arrive"),
    "WORKING": ("intend", "fund", "accept", "start"),
    "SUBMITTED": ("intend", "fund", "accept", "start", "submit"),
    # not started, so that the hustler is free to work elsewhere
    "DISPUTED": ("intend", "fund", "accept", "submit", "dispute"),
    "RESOLVED": ("intend", "fund", "accept", "submit", "dispute", "resolve"),
    "COMPLETED": ("intend", "fund", "accept", "submit", "approve"),
    "CANCELLED": ("intend", "fund", "accept", "cancel"),
}
assert tuple(_PATHS) == POINTS
