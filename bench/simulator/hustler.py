"""A simulated hustler: goes LIVE, answers offers, drives, works, submits proof and is paid.

An ordinary outside client: it learns everything from its own session, its own REST calls, or the
exchange of codes in person.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final
from uuid import UUID

from bench.simulator.code_exchange import CodeExchange, Codes
from bench.simulator.decisions import RELEASE_SHARE, Temper, draw_for, weigh
from bench.simulator.movement import Mover
from bench.simulator.projection import LatLng
from bench.simulator.run_log import RunLog
from bench.simulator.time_scale import TimeScale, human_s
from hustlexp_client import (
    Api,
    HeldTask,
    JobCancelled,
    LiveState,
    Message,
    NoAnswer,
    Offer,
    OfferClosed,
    PaymentCaptured,
    Problem,
    ProofRejected,
    Refused,
    SentAway,
    Session,
    TaskStatus,
    Welcome,
)

DOOR_WAIT_S: Final = 60.0
CODE_MEDIAN_S: Final = 8.0
"""Seconds of life from arrival to having typed the start code."""
REWORK_MEDIAN_S: Final = 60.0
REVIEW_PATIENCE_S: Final = 300.0
"""In life: redoing rejected work, and waiting for a review before ending the shift."""
SWITCH_AGAIN: Final = timedelta(minutes=5, seconds=2)
"""HX904: LIVE mode is switched on at most once in 5 minutes, by the service's clock."""


@dataclass(frozen=True, slots=True)
class Habits:
    """Intervals between a shift's interruptions, in seconds of the run; None is never.

    Mean time between coffee pauses and between lost connections, and the length of the shift.
    """

    pause_every_s: float | None
    outage_every_s: float | None
    shift_s: float | None


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated user with an account: `number` seeds all its decisions."""

    number: int
    name: str
    token: str
    user_id: UUID


class ShiftOver(Exception):
    """Raised inside a shift's task group to end it, whatever is still pending."""


class Hustler:
    """One hustler's shift; `free` says whether offers can reach it right now."""

    def __init__(  # noqa: PLR0913  # named in test_structure
        self,
        person: Person,
        session: Session,
        api: Api,
        mover: Mover,
        *,
        time_scale: TimeScale,
        run_log: RunLog,
        code_exchange: CodeExchange,
        seed: int,
        work_s: dict[str, float],
        habits: Habits,
    ) -> None:
        self.person = person
        self.session = session
        self.mover = mover
        self.live = False
        self.starting = True
        self.task: HeldTask | None = None
        self._api = api
        self._time_scale = time_scale
        self._run_log = run_log
        self._code_exchange = code_exchange
        self._seed = seed
        self._work_s = work_s
        self._habits = habits
        self._temper = Temper.drawn(self._draw("temper"))
        self._open: dict[UUID, Offer] = {}
        self._answered: set[UUID] = set()
        self._job: asyncio.Task[None] | None = None
        self._in_review: dict[UUID, tuple[HeldTask, Codes]] = {}
        self._back_at = self.session.server_now()

    @property
    def free(self) -> bool:
        """Returns whether the hustler is ACTIVE and without a task."""
        return self.live and self.task is None

    async def shift(self) -> None:
        """Runs from going LIVE to the end of the shift; returns when it is over."""
        try:
            async with self.session, asyncio.TaskGroup() as self._group:
                self._group.create_task(self._listen())
                await self._work()
        except* ShiftOver:
            self._run_log.record("leave", f"{self.person.name} goes home")
        except* (Refused, NoAnswer, SentAway) as lost:
            self._run_log.refused("SHIFT", f"ended early: {lost.exceptions[0]}")
        self.live = self.starting = False

    async def _work(self) -> None:
        await self.session.ready()
        self._run_log.counts["session"] += 1
        await self._go_live()
        self.starting = False
        self._group.create_task(self._stay_live())
        if self._habits.pause_every_s is not None:
            self._group.create_task(self._pauses(self._habits.pause_every_s))
        if self._habits.outage_every_s is not None:
            self._group.create_task(self._outages(self._habits.outage_every_s))
        moving = self._group.create_task(self.mover.report(self._send))
        await asyncio.wait([moving], timeout=self._habits.shift_s)
        if self._job is not None:
            await asyncio.wait([self._job])
        await self._ask_off()
        for _ in range(60):
            if self._in_review:
                await self._time_scale.people(REVIEW_PATIENCE_S / 60)
        raise ShiftOver

    def _draw(self, habit: str) -> Random:
        """Returns one habit's own random source, so that none depends on another's timing."""
        return Random(f"{habit} {self._seed} {self.person.number}")

    async def _send(self, place: LatLng, at: datetime | None) -> bool:
        """Reports a position only while LIVE or holding a task; returns whether it was sent."""
        if not self.live and self.task is None:
            return False
        return await self.session.move(place.lat, place.lng, at) is not None

    # Being live

    async def _go_live(self) -> None:
        try:
            state = await self.session.go_live(*self.mover.where(), at=self.mover.seen_at())
        except Refused as refused:
            self._run_log.refused(refused.code, refused.message)
            wait_s = refused.retry_after_s
            self._back_at = self.session.server_now() + (
                SWITCH_AGAIN if wait_s is None else timedelta(seconds=wait_s + 1)
            )
            return
        self._heard(state)

    async def _stay_live(self) -> None:
        """Goes LIVE again when a pause or a cool-down is over."""
        while True:
            await asyncio.sleep(0.5)
            due = self.session.server_now() >= self._back_at
            if not self.live and self.task is None and due:
                await self._go_live()

    async def _pauses(self, every_s: float) -> None:
        """Switches LIVE off for a break now and then, and on again when the service allows it."""
        draw = self._draw("pauses")
        while True:
            await asyncio.sleep(draw.expovariate(1 / every_s))
            if self.free:
                self._run_log.record("pause", f"{self.person.name} takes a break")
                self._back_at = self.session.server_now() + SWITCH_AGAIN
                await self._ask_off()

    async def _ask_off(self) -> None:
        self.live = False
        try:
            await self.session.go_off()
        except (Refused, NoAnswer) as refused:
            self._run_log.refused("OFF", str(refused))

    async def _outages(self, every_s: float) -> None:
        """Cuts the connection without a close frame now and then, as tunnels and lifts do."""
        draw = self._draw("outages")
        while True:
            await asyncio.sleep(draw.expovariate(1 / every_s))
            self.session.drop()
            self._run_log.counts["outage"] += 1

    def _heard(self, state: LiveState) -> None:
        was, self.live = self.live, state.state == "ACTIVE"
        if was and not self.live and state.state != "OFF":
            self._run_log.record("rest", f"{self.person.name} rests ({state.state.lower()})")
        if state.ends_at is not None:
            self._back_at = max(self._back_at, state.ends_at + timedelta(seconds=1))
        if not self.live:
            self._open.clear()

    # Listening

    async def _listen(self) -> None:
        async for message in self.session:
            self._hear(message)

    def _hear(self, message: Message) -> None:
        match message.body:
            case Offer() as offer:
                self._consider(offer)
            case OfferClosed(broadcast_id=broadcast_id):
                self._open.pop(broadcast_id, None)
            case Welcome(offers=offers):
                for offer in offers:
                    self._consider(offer)
            case LiveState() as state:
                self._heard(state)
            case Problem() as problem:
                self._record_refusal(problem)
            case _:
                self._hear_of_task(message)

    def _hear_of_task(self, message: Message) -> None:
        match message.body:
            case JobCancelled(task_id=task_id, reason=reason):
                self._run_log.state_of(task_id, "CANCELLED")
                self._in_review.pop(task_id, None)
                self._lose(task_id, reason)
            case ProofRejected(task_id=task_id) if task_id in self._in_review:
                self._group.create_task(self._do_again(*self._in_review.pop(task_id)))
            case TaskStatus(task_id=task_id, state="DISPUTED"):
                self._in_review.pop(task_id, None)
            case PaymentCaptured(task_id=task_id):
                self._in_review.pop(task_id, None)
                self._run_log.paid(task_id)
            case _:
                pass

    def _record_refusal(self, problem: Problem) -> None:
        if problem.code == "HX021":
            self._run_log.fixes_refused[problem.message] += 1
        else:
            self._run_log.refused(problem.code, problem.message)

    # Cards

    def _consider(self, offer: Offer) -> None:
        if offer.broadcast_id in self._open or offer.broadcast_id in self._answered:
            return
        self._open[offer.broadcast_id] = offer
        self._run_log.card_shown(offer.task.id)
        self._group.create_task(self._decide(offer))

    async def _decide(self, offer: Offer) -> None:
        decision = weigh(offer, self._temper, draw_for(self._seed, self.person.number, offer))
        await self._time_scale.people(decision.after_s)
        if decision.response is None or not self.free or offer.broadcast_id not in self._open:
            return
        self._answered.add(offer.broadcast_id)
        asked_at = time.monotonic()
        try:
            answer = await self.session.respond(
                offer.broadcast_id, decision.response, decision.reason
            )
        except (Refused, NoAnswer) as refused:
            code = refused.code if isinstance(refused, Refused) else "NO_ANSWER"
            self._run_log.refused(code, str(refused))
            return
        finally:
            self._open.pop(offer.broadcast_id, None)
        self._run_log.counts[answer.outcome.lower()] += 1
        if answer.outcome == "WON":
            self._win(offer, answer.task, asked_at)

    def _win(self, offer: Offer, task: HeldTask | None, asked_at: float) -> None:
        trace = self._run_log.task_traces.get(offer.task.id)
        if trace is not None:
            trace.accepted_at, trace.hustler_notified_at = asked_at, time.monotonic()
            trace.hustler_name = self.person.name
            self._run_log.state_of(offer.task.id, "ACCEPTED")
        distance = f"{offer.task.distance_miles:.1f} mi away"
        self._run_log.record("accepted", f"{self.person.name}, {distance}: {offer.task.title}")
        self._open.clear()
        self._job = self._group.create_task(self._do(task, offer))

    # The task

    async def _do(self, task: HeldTask | None, offer: Offer) -> None:
        try:
            self.task = task or await self._api.task(offer.task.id)
            await self._fulfil(self.task)
        except (Refused, NoAnswer) as refused:
            code = refused.code if isinstance(refused, Refused) else "NO_ANSWER"
            self._run_log.refused(code, str(refused))
        except TimeoutError:
            await self._find_nobody(offer)
        finally:
            self.task = None
            self._code_exchange.forget(offer.task.id)
            self.mover.roam()

    async def _fulfil(self, task: HeldTask) -> None:
        whim = draw_for_task(self._seed, self.person.number, task)
        if whim.random() < RELEASE_SHARE:
            await self._time_scale.people(human_s(whim, 40))
            self.task = None
            await self._api.release(task.id, "My car broke down")
            self._run_log.record("release", f"{self.person.name} gives back: {task.title}")
            return
        await self.mover.go_to(LatLng(task.location.lat, task.location.lng))
        # the position has shown the arrival, or on a recorded road the code will
        codes = await self._code_exchange.wait_for(task.id, DOOR_WAIT_S)
        await self._time_scale.people(human_s(whim, CODE_MEDIAN_S, 0.3))
        await self._api.start(task.id, codes.start)
        self._run_log.state_of(task.id, "WORKING")
        self._run_log.record("started", f"{self.person.name} starts: {task.title}")
        await self._time_scale.people(human_s(whim, self._work_s.get(task.title, 240.0), 0.3))
        await self._submit_work(task, codes)

    async def _submit_work(self, task: HeldTask, codes: Codes) -> None:
        self._in_review[task.id] = (task, codes)
        await self._api.submit_proof(task.id, codes.completion)
        self._run_log.state_of(task.id, "PROOF_SUBMITTED")

    async def _do_again(self, task: HeldTask, codes: Codes) -> None:
        """Submits rejected work again, after the current job is done."""
        while self._job is not None and not self._job.done():
            await asyncio.wait([self._job])
        self._job, self.task = asyncio.current_task(), task
        whim = draw_for_task(self._seed, self.person.number, task)
        try:
            await self._time_scale.people(human_s(whim, REWORK_MEDIAN_S))
            await self._submit_work(task, codes)
            self._run_log.record("again", f"{self.person.name} has done it again: {task.title}")
        except (Refused, NoAnswer) as refused:
            code = refused.code if isinstance(refused, Refused) else "NO_ANSWER"
            self._run_log.refused(code, str(refused))
        finally:
            self.task = None

    async def _find_nobody(self, offer: Offer) -> None:
        """Opens a dispute for a task whose poster does not open the door."""
        self._run_log.record("nobody", f"{self.person.name} finds nobody at the door")
        try:
            await self._api.dispute(offer.task.id, "Nobody opens the door")
        except (Refused, NoAnswer) as refused:
            code = refused.code if isinstance(refused, Refused) else "NO_ANSWER"
            self._run_log.refused(code, str(refused))

    def _lose(self, task_id: UUID, reason: str | None) -> None:
        if self.task is not None and self.task.id == task_id and self._job is not None:
            self._run_log.record("lost", f"{self.person.name} loses the task: {reason}")
            self._job.cancel()


def draw_for_task(seed: int, hustler: int, task: HeldTask) -> Random:
    """Returns the random source of one hustler's decisions on one task."""
    return Random(f"{seed} {hustler} {task.title} {task.price_cents} {task.location.lat:.4f}")
