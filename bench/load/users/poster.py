"""A poster under load: creates and funds LIVE tasks, follows them by pushes, and ends them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar
from uuid import UUID

from bench.load.users.accounts import Account
from bench.load.users.codes import TaskCodes
from bench.load.users.meter import CANCEL
from bench.load.users.rest import Failed, TooLate
from bench.load.users.session import LoadSession, Shared
from bench.simulator.projection import LatLng
from hustlexp_client import (
    BroadcastUpdate,
    HeldTask,
    JobAssigned,
    JobCancelled,
    JobCompleted,
    Message,
    PaymentCaptured,
    Problem,
    Refused,
    Welcome,
)

T = TypeVar("T")
PRICE_CENTS: Final = (2_000, 9_000)
PlaceOf = Callable[[Random], tuple[float, float]]
"""Where the next task is, in degrees."""


@dataclass(frozen=True, slots=True)
class Custom:
    """How a poster behaves: mean seconds between tasks, how many at once, who is cancelled."""

    every_s: float = 6.0
    at_once: int = 3
    cancels: float = 0.3
    patience_s: tuple[float, float] = (0.1, 3.0)
    switches: float = 0.5
    cut_every_s: float | None = 40.0


class PosterSession(LoadSession):
    """One poster with some tasks at once."""

    def __init__(
        self, account: Account, shared: Shared, draw: Random, custom: Custom, place_of: PlaceOf
    ) -> None:
        super().__init__(account, shared, draw, custom.cut_every_s)
        self._custom = custom
        self._place_of = place_of
        self._open: set[UUID] = set()
        self._cancelled_at: dict[UUID, float] = {}

    # What LoadSession asks for

    def greeted(self, welcome: Welcome) -> None:
        """Takes up the tasks that the WELCOME shows, and goes on posting."""
        self._open = {task.id for task in welcome.tasks if task.mode == "LIVE"}
        self._cancelled_at.clear()
        for task in welcome.tasks:
            self._take_up(task)
        self.agenda.after(self._custom.every_s * self.draw.random(), self._post)

    def heard(self, message: Message) -> None:
        """Follows the tasks by what is pushed."""
        match message.body:
            case BroadcastUpdate(state="EXPIRED", task_id=task):
                self.agenda.after(0.0, lambda: self._choose(task))
            case JobAssigned(task_id=task):
                self.agenda.after(0.0, lambda: self._say_codes(task))
            case JobCompleted(task_id=task):
                self.agenda.after(
                    self.draw.uniform(0.1, 1.0), lambda: self._command(task, "approve")
                )
            case PaymentCaptured(task_id=task):
                self._ended(task)
            case JobCancelled(task_id=task):
                asked_at = self._cancelled_at.pop(task, None)
                if asked_at is not None:
                    self.shared.meter.measured(CANCEL, time.monotonic() - asked_at)
                self._ended(task)
            case Problem(code=code, message=text):
                self.shared.meter.failed("message", Refused(code, text))
            case _:
                pass

    # Tasks

    def _take_up(self, task: HeldTask) -> None:
        if task.state in ("ACCEPTED", "WORKING"):
            self.agenda.after(0.0, lambda: self._say_codes(task.id))
        elif task.state == "PROOF_SUBMITTED":
            self.agenda.after(0.0, lambda: self._command(task.id, "approve"))
        elif task.broadcast is not None and task.broadcast.state == "EXPIRED":
            self.agenda.after(0.0, lambda: self._choose(task.id))
        elif task.state == "MATCHING" and task.broadcast is None:
            self.agenda.after(0.0, lambda: self._command(task.id, "fund"))

    def _post(self) -> None:
        self.agenda.after(self.draw.expovariate(1 / self._custom.every_s), self._post)
        if len(self._open) >= self._custom.at_once:
            return
        lat, lng = self._place_of(self.draw)
        task = self._ask(
            "/v1/tasks",
            HeldTask,
            {
                "mode": "LIVE",
                "title": "Carry a sofa",
                "description": "Two floors, no lift.",
                "category": "moving",
                "price_cents": self.draw.randint(*PRICE_CENTS),
                "location": {"lat": lat, "lng": lng},
                "live_confirmations": {
                    "can_respond": True,
                    "accessible_now": True,
                    "price_final": True,
                },
            },
        )
        if task is None:
            return
        self._open.add(task.id)
        near = self.shared.free_hustlers.are_near(LatLng(lat, lng))
        self.shared.first_cards.funding(task.id, hustlers_near=near)
        self._command(task.id, "fund")
        if self.draw.random() < self._custom.cancels:
            self.agenda.after(
                self.draw.uniform(*self._custom.patience_s), lambda: self._cancel(task.id)
            )

    def _cancel(self, task: UUID) -> None:
        if task in self._open:
            self._cancelled_at[task] = time.monotonic()
            if self._command(task, "cancel") is None:
                self._cancelled_at.pop(task, None)

    def _choose(self, task: UUID) -> None:
        """Decides after a broadcast that nobody took: half switch to standard, half cancel."""
        switch = self.draw.random() < self._custom.switches
        choice = "SWITCH_TO_STANDARD" if switch else "CANCEL"
        self._command(task, "broadcast-choice", {"choice": choice})

    def _say_codes(self, task: UUID) -> None:
        view = self._ask(f"/v1/tasks/{task}", HeldTask)
        if view is not None and view.start_code is not None and view.completion_code is not None:
            self.shared.codes.publish(task, TaskCodes(view.start_code, view.completion_code))

    def _ended(self, task: UUID) -> None:
        self._open.discard(task)
        self.shared.codes.forget(task)
        self.shared.first_cards.forget(task)

    # Calls

    def _command(
        self, task: UUID, name: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        return self._ask(f"/v1/tasks/{task}/{name}", dict[str, Any], body or {})

    def _ask(self, path: str, answer: type[T], body: dict[str, Any] | None = None) -> T | None:
        """Returns the answer, or None where the service has refused: the meter knows why."""
        method = "GET" if body is None else "POST"
        try:
            return self.shared.rest.request(self.account.ticket.token, method, path, answer, body)
        except (TooLate, Failed):
            return None
