"""One history of money: what happens to a task, under an unkind net and a service that dies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, TypeVar
from uuid import UUID

import stripe

from engine.kernel.errors import Refusal
from engine.kernel.ids import TaskId, UserId
from tests.engine.money.providers.stripe.chaos import KIND, Dial
from tests.engine.money.providers.stripe.fake import FakeServer, FakeStripe
from tests.engine.money.providers.stripe.process import Fate, Killed, Process
from tests.support.market import Market

T = TypeVar("T")
TRIES = 80
FORGET = 0.3
SWEEP = 0.3


@dataclass(frozen=True)
class Terms:
    """What is decided before a history begins, and equal for its calm and its rough run."""

    price_cents: int
    split_cents: int
    confirms_here: bool


@dataclass(frozen=True)
class EscrowReports:
    """One escrow: our row with its settlement and journal, and the amounts moved at Stripe."""

    row: dict[str, Any]
    paid: list[int]
    sent: list[int]
    given_back: list[int]


@dataclass(frozen=True)
class ReportedEvent:
    """How a history ended, without names: what two runs of it are compared by."""

    task: str
    escrows: list[EscrowReports]
    held: dict[str, int]
    """What the poster, the platform and the hustler have at Stripe."""


class History:
    """One task with its people, one Stripe account, and one life of the service after another."""

    def __init__(
        self,
        market: Market,
        fake_server: FakeServer,
        sdk: stripe.StripeClient,
        terms: Terms,
        *,
        seed: int,
        dial: Dial,
        kills: float,
    ) -> None:
        self.market = market
        self.terms = terms
        self.random = Random(seed)
        self.fake = fake_server.fake = FakeStripe(seed, dial)
        self.fate = Fate(Random(seed + 1), kills)
        self.rough = dial != KIND
        self.task: TaskId
        self.poster: UserId
        self.hustler: UserId
        self.account = ""
        self._sdk = sdk
        self._paying = False
        self.process = self._born()

    # ── People and what they do ──────────────────────────────────────────────────────────────────

    async def begin(self, *, account: bool = True) -> None:
        """A poster's task and a hustler, with an account that can be paid."""
        self.poster = await self.market.user("poster")
        self.hustler = await self.market.user("hustler")
        self.task = await self.market.task(
            "STANDARD", poster=self.poster, price_cents=self.terms.price_cents
        )
        if account:
            await self.open_account()
            self.fake.ledger.finish_onboarding(self.account)
            await self.until(self.is_payable)

    async def open_account(self) -> None:
        """The hustler opens an account; Stripe knows nobody yet."""
        self.account = self.fake.ledger.create_account({})["id"]
        await self.market.app.execute(
            "select set_payout_account($1, $2, false)", self.hustler, self.account
        )

    async def pay(self) -> None:
        """The poster pays what is to be paid, and it is held."""
        escrow = await self.begin_payment()
        self.confirm(escrow)
        await self.until(lambda: self.escrow_is(escrow, "FUNDED"))

    def confirms_in_the_app(self) -> None:
        """From now on the poster's app confirms payments, whatever the terms said."""
        self.terms = replace(self.terms, confirms_here=False)
        self.process = self._born()

    async def begin_payment(self) -> UUID:
        """The poster's app asks for the payment, and again until it gets an answer."""
        self._paying = True
        funding = await self.do(lambda process: process.commands.money.fund(self.poster, self.task))
        self._paying = False
        return funding.escrow

    def confirm(self, escrow: UUID) -> None:
        """The poster's app confirms at Stripe, unless the service has done so."""
        for intent in self.fake.ledger.listed("payment_intent"):
            if intent["metadata"]["escrow_id"] == str(escrow) and intent["status"] != "succeeded":
                self.fake.ledger.confirm(intent["id"], "pm_card_visa")

    async def accept(self) -> None:
        """The hustler takes the task."""
        await self.process.commands.live.accept(self.hustler, self.task)

    async def work(self) -> None:
        """Start and proof."""
        codes = self.market.codes
        await self.process.commands.tasks.start(
            self.hustler, self.task, codes.code(self.task, "START", 1)
        )
        await self.process.commands.proofs.submit(
            self.hustler, self.task, codes.code(self.task, "COMPLETION", 1)
        )

    async def resolve(self, outcome: str) -> None:
        """An admin decides the dispute."""
        admin = await self.market.user("hustler")
        await self.market.owner.execute("update users set role = 'admin' where id = $1", admin)
        await self.market.app.execute(
            "select resolve_dispute($1, (select id from disputes where task_id = $2), $3, $4, 'seen')",
            admin,
            self.task,
            outcome,
            self.terms.split_cents if outcome == "SPLIT" else None,
        )

    async def retry(self) -> None:
        """An admin lets a held settlement go on."""
        admin = await self.market.user("hustler")
        await self.market.owner.execute("update users set role = 'admin' where id = $1", admin)
        await self.market.app.execute(
            "select retry_settlement($1, s.id, 'again') from settlements as s"
            " join escrows as e on e.id = s.escrow_id where e.task_id = $2 and s.state = 'HELD'",
            admin,
            self.task,
        )

    # ── What the service and the net do meanwhile ────────────────────────────────────────────────

    async def do(self, deed: Callable[[Process], Awaitable[T]]) -> T:
        """Repeat a command until it is answered, through deaths and failures."""
        for _ in range(TRIES):
            try:
                return await deed(self.process)
            except Killed:
                self.process = self._born()
            except Refusal as refusal:
                if not refusal.kind.retryable:
                    raise
        raise AssertionError("a command is never answered")

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Let time go on until something holds."""
        for _ in range(TRIES):
            if await holds():
                return
            await self.churn()
        raise AssertionError(f"never: {holds}\n{await self.received()}")

    async def churn(self) -> None:
        """One round of post, worker and reconciler, any of which may die in it."""
        if self.rough and not self._paying and self.random.random() < FORGET:
            self.fake.api.forget_keys()
        rounds = [self._post, self._settle]
        if self.rough and self.random.random() < SWEEP:
            rounds.append(self._sweep)
        if self.rough:
            self.random.shuffle(rounds)
        for each in rounds:
            try:
                await each()
            except Killed:
                self.process = self._born()

    async def rest(self) -> None:
        """The storm is over, a day has passed: everything comes to its end."""
        self.rough = False
        self.fate.probability = 0.0
        self.fake.chaos.dial = KIND
        self.fake.api.forget_keys()
        for _ in range(TRIES):
            await self.fake.webhooks.everything(self._deliver)
            moved = await self._settle() + await self._sweep()
            if not moved and not self.fake.webhooks.waiting:
                return
        raise AssertionError(f"never at rest: {await self.received()}")

    async def _post(self) -> int:
        return await self.fake.webhooks.round(self._deliver)

    async def _deliver(self, body: bytes, header: str) -> int:
        try:
            await self.process.take_letter(body, header, self.fake.now())
        except Killed:
            self.process = self._born()
            return 503
        return 200

    async def _settle(self) -> int:
        await self.market.app.execute(
            "update settlements set due_at = hx_clock(), claimed_until = null"
            " where state = 'PENDING'"
        )
        return await self.process.worker.settle_waiting()

    async def _sweep(self) -> int:
        return await self.process.reconciler.sweep()

    def _born(self) -> Process:
        return Process(
            self.market.store._database,
            self._sdk,
            self.market.effects,
            self.market.codes,
            self.fate,
            test_payment_method="pm_card_visa" if self.terms.confirms_here else None,
        )

    # ── What there is to see ─────────────────────────────────────────────────────────────────────

    async def is_payable(self) -> bool:
        """Whether the hustler's account can be paid, as we know it."""
        return bool(
            await self.market.app.fetchval(
                "select payouts_enabled from payout_accounts where user_id = $1", self.hustler
            )
        )

    async def escrow_is(self, escrow: UUID, state: str) -> bool:
        """Whether an escrow has this state."""
        found = await self.market.app.fetchval("select state from escrows where id = $1", escrow)
        return bool(found == state)

    async def current_is(self, *states: str) -> bool:
        """Whether the task's current escrow has one of these states."""
        return await self.market.escrow_state(self.task) in states

    async def settlement_is(self, state: str) -> bool:
        """Whether a settlement of the task has this state."""
        return bool(
            await self.market.app.fetchval(
                "select count(*) from settlements as s join escrows as e on e.id = s.escrow_id"
                " where e.task_id = $1 and s.state = $2",
                self.task,
                state,
            )
        )

    async def task_is(self, state: str) -> bool:
        """Whether the task has this state."""
        return await self.market.state(self.task) == state

    def payment(self) -> str:
        """The first payment that succeeded."""
        name: str = next(
            each["id"]
            for each in self.fake.ledger.objects["payment_intent"].values()
            if each["status"] == "succeeded"
        )
        return name

    def refunds(self, status: str) -> list[str]:
        """The refunds in a state."""
        found = self.fake.ledger.objects["refund"].values()
        return [each["id"] for each in found if each["status"] == status]

    async def received(self) -> ReportedEvent:
        """Our rows and Stripe's books."""
        rows = await self.market.app.fetch(
            "select e.id, e.state, e.is_current, e.amount, e.release_amount, e.refund_amount,"
            " e.fee_amount, s.kind, s.state as settled, s.transfer_done, s.refund_done,"
            " (select array_agg(m.kind || m.amount order by m.kind) from money_entries as m"
            "  where m.escrow_id = e.id) as journal,"
            " (select array_agg(c.state order by c.id) from chargebacks as c"
            "  where c.escrow_id = e.id) as chargebacks"
            " from escrows as e left join settlements as s on s.escrow_id = e.id"
            " where e.task_id = $1 order by e.created_at",
            self.task,
        )
        ledger = self.fake.ledger
        held = {"poster": ledger.held["posters"], "platform": ledger.held["platform"]}
        held["hustler"] = ledger.held[self.account]
        return ReportedEvent(
            await self.market.state(self.task),
            [
                EscrowReports(
                    {name: value for name, value in row.items() if name != "id"},
                    self._moved("payment_intent", row["id"]),
                    self._moved("transfer", row["id"]),
                    self._moved("refund", row["id"]),
                )
                for row in rows
            ],
            held,
        )

    def _moved(self, kind: str, escrow: UUID) -> list[int]:
        """The amounts that were moved for an escrow and stayed moved."""
        return [
            each["amount"]
            for each in self.fake.ledger.objects[kind].values()
            if (each["metadata"] or {}).get("escrow_id") == str(escrow)
            and each.get("status", "succeeded") == "succeeded"
        ]
