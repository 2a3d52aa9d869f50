"""A hustler under load: LIVE, moving, answering cards, doing what was won, cut and resumed."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final, Literal
from uuid import UUID

from bench.load.users.accounts import Account
from bench.load.users.meter import ANSWER
from bench.load.users.rest import LOST_RACES, Failed, TooLate
from bench.load.users.session import LoadSession, Shared
from bench.simulator.projection import LatLng
from hustlexp_client import (
    JobAssigned,
    JobCancelled,
    JobCompleted,
    LiveState,
    Message,
    Offer,
    OfferClosed,
    Outcome,
    Problem,
    Refused,
    Welcome,
    outgoing,
)

METRES_PER_DEGREE: Final = 111_195.0
STEP_M: Final = 20.0
"""From one heartbeat to the next, at most: 18 km/h where they are 4 s apart."""
DOOR_LOOK_S: Final = 0.5
"""How often a hustler at the door looks whether the poster has said the codes."""
DOOR_LOOKS: Final = 60


@dataclass(frozen=True, slots=True)
class Habits:
    """How a hustler behaves: shares of answers (the rest are skips), and seconds."""

    accepts: float = 0.4
    declines: float = 0.1
    think_s: tuple[float, float] = (0.1, 1.5)
    heartbeat_s: float = 4.0
    work_s: float = 1.0
    cut_every_s: float | None = 25.0


class HustlerSession(LoadSession):
    """One hustler, ACTIVE when the service says so."""

    def __init__(self, account: Account, shared: Shared, draw: Random, habits: Habits) -> None:
        super().__init__(account, shared, draw, habits.cut_every_s)
        self._habits = habits
        self._working_on: UUID | None = None
        self._active = False

    # What LoadSession asks for

    def parted(self) -> None:
        """Is out of reach until the next connection."""
        self._be(active=False)

    def greeted(self, welcome: Welcome) -> None:
        """Goes LIVE, and takes up the cards and the task that the WELCOME shows."""
        self.audited(self.account.cards.welcome, [offer.broadcast_id for offer in welcome.offers])
        self._working_on = None
        for offer in welcome.offers:
            self._consider(offer)
        for task in welcome.tasks:
            if task.assigned_hustler_id == welcome.user_id and task.state in (
                "ACCEPTED",
                "WORKING",
            ):
                self._assigned(task.id, started=task.state == "WORKING")
        here = (self.account.lat, self.account.lng)
        data = outgoing.go_live(here, datetime.now(UTC), None, None)
        self.ask("SUBSCRIBE_LIVE_MODE", data, self._live)
        self.agenda.after(self._habits.heartbeat_s * self.draw.random(), self._heartbeat)

    def heard(self, message: Message) -> None:
        """Takes cards, their ends, and what becomes of the task that is held."""
        match message.body:
            case Offer() as offer:
                self.audited(self.account.cards.card, offer.broadcast_id)
                self._consider(offer)
            case OfferClosed(broadcast_id=broadcast, reason=reason):
                self.audited(self.account.cards.closed, broadcast, withdrawn=reason == "WITHDRAWN")
            case LiveState(state=state):
                self._be(active=state == "ACTIVE")
            case JobAssigned(task_id=task):
                self._assigned(task, started=False)
            case JobCancelled(task_id=task) | JobCompleted(task_id=task):
                if self._working_on == task:
                    self._working_on = None
                    self._be(active=self._active)
            case Problem() as problem:
                self._failed("message", problem)
            case _:
                pass

    # Presence

    def _live(self, message: Message) -> None:
        match message.body:
            case LiveState(state=state):
                self._be(active=state == "ACTIVE")
            case Problem() as problem:
                self._failed("SUBSCRIBE_LIVE_MODE", problem)
            case _:
                pass

    def _be(self, *, active: bool) -> None:
        """Notes whether offers can be made, after anything that bears on it has changed."""
        self._active = active
        account = self.account
        is_free = active and self._working_on is None
        here = LatLng(account.lat, account.lng) if is_free else None
        self.shared.free_hustlers.set(id(account), here)

    def _heartbeat(self) -> None:
        """Sends the position some steps on, without a time: the service's clock decides."""
        towards = self.draw.uniform(0, 2 * math.pi)
        step = self.draw.uniform(0, STEP_M) / METRES_PER_DEGREE
        account = self.account
        account.lat = round(account.lat + step * math.cos(towards), 6)
        widening = math.cos(math.radians(account.lat))
        account.lng = round(account.lng + step * math.sin(towards) / widening, 6)
        self.tell("UPDATE_LOCATION", {"location": {"lat": account.lat, "lng": account.lng}})
        self._be(active=self._active)
        self.agenda.after(self._habits.heartbeat_s, self._heartbeat)

    # Cards

    def _consider(self, offer: Offer) -> None:
        self.shared.first_cards.seen(offer.task.id)
        drawn = self.draw.random()
        response: Literal["ACCEPT", "DECLINE", "SKIP"] = "SKIP"
        if drawn < self._habits.accepts:
            response = "ACCEPT"
        elif drawn < self._habits.accepts + self._habits.declines:
            response = "DECLINE"
        self.agenda.after(
            self.draw.uniform(*self._habits.think_s),
            lambda: self._respond(offer.broadcast_id, response),
        )

    def _respond(self, broadcast: UUID, response: Literal["ACCEPT", "DECLINE", "SKIP"]) -> None:
        if response == "ACCEPT" and self._working_on is not None:
            response = "SKIP"
        began = time.monotonic()

        def answered(message: Message) -> None:
            self._answered(broadcast, response, message, time.monotonic() - began)

        self.ask("RESPOND_TO_BROADCAST", outgoing.answer(broadcast, response, None), answered)

    def _answered(
        self,
        broadcast: UUID,
        response: Literal["ACCEPT", "DECLINE", "SKIP"],
        message: Message,
        took_s: float,
    ) -> None:
        match message.body:
            case Outcome(outcome=outcome):
                self.audited(self.account.cards.answered, broadcast, outcome)
            case Problem(code=code) if code in LOST_RACES:
                pass
            case Problem(retryable=True, retry_after_seconds=wait_s):
                self.agenda.after(wait_s or 0.25, lambda: self._respond(broadcast, response))
                return
            case Problem() as problem:
                self._failed(ANSWER, problem)
                return
            case _:
                pass
        if response == "ACCEPT":
            self.shared.meter.measured(ANSWER, took_s)

    # Work

    def _assigned(self, task: UUID, *, started: bool) -> None:
        if self._working_on == task:
            return
        self._working_on = task
        self._be(active=self._active)
        self.agenda.after(self._habits.work_s, lambda: self._at_the_door(task, DOOR_LOOKS, started))

    def _at_the_door(self, task: UUID, looks: int, started: bool) -> None:  # noqa: FBT001
        """Starts with the poster's code as soon as it is said; gives up with the run."""
        if self._working_on != task or looks == 0:
            return
        codes = self.shared.codes.of(task)
        if codes is None:
            self.agenda.after(DOOR_LOOK_S, lambda: self._at_the_door(task, looks - 1, started))
        elif started or self._call(task, "start", codes.start):
            self.agenda.after(self._habits.work_s, lambda: self._finish(task, codes.completion))

    def _finish(self, task: UUID, completion: str) -> None:
        if self._working_on == task:
            self._call(task, "proofs", completion)
            self._working_on = None
            self._be(active=self._active)

    def _call(self, task: UUID, step: str, code: str) -> bool:
        try:
            self.shared.rest.request(
                self.account.ticket.token,
                "POST",
                f"/v1/tasks/{task}/{step}",
                dict[str, Any],
                {"code": code},
            )
        except (TooLate, Failed):
            return False
        return True

    def _failed(self, name: str, problem: Problem) -> None:
        self.shared.meter.failed(
            name,
            Refused(
                problem.code,
                problem.message,
                invariant=problem.invariant,
                retryable=problem.retryable,
                retry_after_s=problem.retry_after_seconds,
            ),
        )
