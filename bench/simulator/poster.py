"""A simulated poster: posts and funds tasks, passes on the codes, reviews the work and pays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

from bench.simulator.code_exchange import CodeExchange, Codes
from bench.simulator.decisions import higher_price_cents, review
from bench.simulator.hustler import Person
from bench.simulator.projection import LatLng
from bench.simulator.run_log import RunLog, TaskTrace
from bench.simulator.time_scale import TimeScale, human_s
from hustlexp_client import (
    Api,
    BroadcastUpdate,
    HeldTask,
    JobAssigned,
    JobCancelled,
    JobCompleted,
    Message,
    NoAnswer,
    PaymentCaptured,
    PaymentRefunded,
    Place,
    Problem,
    Refused,
    SentAway,
    Session,
    TaskStatus,
)

FUND_MEDIAN_S: Final = 9.0
CHOICE_MEDIAN_S: Final = 45.0
"""In life: the card payment, and the choice after a broadcast without an accept."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A task a poster wants done; `number` seeds every decision about it."""

    number: int
    title: str
    category: str
    price_cents: int
    place: str
    at: LatLng
    patience_s: float | None = None
    if_nobody: str = "CANCEL"


class Poster:
    """One poster with any number of tasks at once."""

    def __init__(  # noqa: PLR0913  # named in test_structure
        self,
        person: Person,
        session: Session,
        api: Api,
        *,
        time_scale: TimeScale,
        run_log: RunLog,
        code_exchange: CodeExchange,
        anyone_near: Callable[[LatLng], bool],
        seed: int,
    ) -> None:
        self.person = person
        self.session = session
        self._api = api
        self._time_scale = time_scale
        self._run_log = run_log
        self._code_exchange = code_exchange
        self._anyone_near = anyone_near
        self._seed = seed
        self._wishes: dict[UUID, Wish] = {}
        self._ended: set[UUID] = set()
        self.charged: dict[UUID, int] = {}
        """What was paid, in cents, by escrow."""

    async def attend(self) -> None:
        """Reads the session and reacts to its messages until cancelled."""
        try:
            async with self.session, asyncio.TaskGroup() as self._group:
                self._run_log.counts["session"] += 1
                async for message in self.session:
                    self._hear(message)
        except* SentAway as lost:
            self._run_log.refused("POSTER", f"sent away: {lost.exceptions[0]}")

    async def post(self, wish: Wish) -> None:
        """Creates and funds a LIVE task; may cancel it later when patience runs out."""
        draw = Random(f"poster {self._seed} {wish.number}")
        try:
            task = await self._api.create_task(
                title=wish.title,
                description=f"{wish.title}, today, in {wish.place}.",
                category=wish.category,
                price_cents=wish.price_cents,
                location=Place(wish.at.lat, wish.at.lng, address=wish.place),
            )
            self._wishes[task.id] = wish
            trace = self._open_trace(task, wish)
            await self._time_scale.people(human_s(draw, FUND_MEDIAN_S, 0.4))
            await self._fund(trace, wish)
            if wish.patience_s is not None:
                await self._time_scale.people(wish.patience_s)
                if trace.state == "MATCHING":
                    await self._api.cancel(task.id, "Found help elsewhere")
                    self._run_log.record("cancel", f"{self.person.name} cancels: {wish.title}")
        except (Refused, NoAnswer) as refused:
            self._record_refusal(refused)

    def _open_trace(self, task: HeldTask, wish: Wish) -> TaskTrace:
        return self._run_log.open_trace(
            TaskTrace(task.id, wish.title, wish.place, task.price_cents, task.hustler_pay_cents)
        )

    async def _fund(self, trace: TaskTrace, wish: Wish) -> None:
        trace.in_reach = self._anyone_near(wish.at)
        trace.funded_at = time.monotonic()
        await self._pay(trace.task_id)
        price = f"${wish.price_cents / 100:.2f}"
        self._run_log.record("funded", f"{wish.title}, {price}, {wish.place}")

    async def _pay(self, task_id: UUID) -> None:
        escrow = await self._api.fund(task_id)
        if escrow.state != "PENDING":
            self.charged[escrow.id] = escrow.amount_cents

    # Listening

    def _hear(self, message: Message) -> None:
        match message.body:
            case BroadcastUpdate() as update:
                self._follow(update)
            case JobAssigned(task_id=task_id, start_code=code) if code is not None:
                self._assigned(task_id, code)
            case JobCompleted(task_id=task_id):
                self._group.create_task(self._review(task_id))
            case JobCancelled(task_id=task_id, successor_id=successor):
                self._run_log.state_of(task_id, "CANCELLED")
                self._carry_on(task_id, successor)
            case TaskStatus(task_id=task_id, state=state):
                self._run_log.state_of(task_id, state)
            case PaymentCaptured(task_id=task_id):
                self._run_log.paid(task_id)
            case PaymentRefunded(amount_cents=cents):
                self._run_log.refunded(cents)
            case Problem(code=code, message=text):
                self._run_log.refused(code, text)
            case _:
                pass

    def _follow(self, update: BroadcastUpdate) -> None:
        trace = self._run_log.task_traces.get(update.task_id)
        if trace is None:
            return
        if update.radius_miles > trace.radius_miles > 0 and update.state == "ACTIVE":
            self._run_log.record("wave", f"{trace.title}: {update.radius_miles:g} miles")
        trace.radius_miles = update.radius_miles
        trace.notified = update.hustlers_notified
        is_news = update.broadcast_id not in self._ended
        if update.state == "EXPIRED" and trace.state == "MATCHING" and is_news:
            self._ended.add(update.broadcast_id)
            self._group.create_task(self._choose(trace))

    def _assigned(self, task_id: UUID, start_code: str) -> None:
        trace = self._run_log.task_traces.get(task_id)
        if trace is not None and trace.poster_notified_at is None:
            trace.poster_notified_at = time.monotonic()
        self._run_log.state_of(task_id, "ACCEPTED")
        self._group.create_task(self._open_door(task_id, start_code))

    async def _open_door(self, task_id: UUID, start_code: str) -> None:
        task = await self._try(self._api.task(task_id))
        if task is not None and task.completion_code is not None:
            self._code_exchange.publish(task_id, Codes(start_code, task.completion_code))

    async def _review(self, task_id: UUID) -> None:
        trace = self._run_log.task_traces[task_id]
        draw = Random(f"review {self._seed} {self._wishes[task_id].number}")
        decision = review(draw, again=trace.rejected)
        await self._time_scale.people(decision.after_s)
        match decision.choice:
            case "APPROVE":
                if await self._try(self._api.approve(task_id)) is not None:
                    self._run_log.record("approved", f"{self.person.name} approves: {trace.title}")
            case "REJECT":
                trace.rejected = True
                if await self._try(self._api.reject(task_id, "Not quite done yet")) is not None:
                    self._run_log.record(
                        "rejected", f"{self.person.name}: once more, {trace.title}"
                    )
            case "DISPUTE":
                if await self._try(self._api.dispute(task_id, "Not what we agreed on")) is not None:
                    self._run_log.record("disputed", f"{self.person.name} disputes: {trace.title}")

    async def _choose(self, trace: TaskTrace) -> None:
        wish = self._wishes[trace.task_id]
        draw = Random(f"choice {self._seed} {wish.number}")
        trace.nobody_came = True
        self._run_log.record("expired", f"nobody took: {trace.title}")
        await self._time_scale.people(human_s(draw, CHOICE_MEDIAN_S))
        choice = "CANCEL" if trace.raised else wish.if_nobody
        price_cents = higher_price_cents(trace.price_cents) if choice == "INCREASE_PRICE" else None
        try:
            await self._api.choose(trace.task_id, choice, price_cents)
            self._run_log.record("choice", f"{choice.lower().replace('_', ' ')}: {wish.title}")
            if price_cents is not None:
                await self._pay_more(trace, draw)
        except (Refused, NoAnswer) as refused:
            self._record_refusal(refused)

    async def _pay_more(self, trace: TaskTrace, draw: Random) -> None:
        """Funds the replacement; the task is broadcast again at the higher price."""
        trace.raised = True
        await self._time_scale.people(human_s(draw, FUND_MEDIAN_S, 0.4))
        await self._pay(trace.task_id)
        task = await self._api.task(trace.task_id)
        trace.price_cents, trace.pay_cents = task.price_cents, task.hustler_pay_cents
        self._run_log.record("funded", f"{trace.title}, now ${trace.price_cents / 100:.2f}")

    def _carry_on(self, task_id: UUID, successor: UUID | None) -> None:
        """Follows a released task to its successor; drops one switched to standard."""
        wish = self._wishes.get(task_id)
        trace = self._run_log.task_traces.get(task_id)
        if wish is None or trace is None or successor is None or trace.accepted_at is None:
            return
        self._wishes[successor] = wish
        following = self._run_log.open_trace(trace.successor(successor))
        following.funded_at = time.monotonic()
        following.in_reach = self._anyone_near(wish.at)

    async def _try(self, call: Awaitable[HeldTask]) -> HeldTask | None:
        try:
            return await call
        except (Refused, NoAnswer) as refused:
            self._record_refusal(refused)
            return None

    def _record_refusal(self, refused: Refused | NoAnswer) -> None:
        code = refused.code if isinstance(refused, Refused) else "NO_ANSWER"
        self._run_log.refused(code, str(refused))
