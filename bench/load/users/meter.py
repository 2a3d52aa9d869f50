"""Where users report to: durations and failures by name; and the time from funding to a card."""

from __future__ import annotations

import time
from typing import Final, Protocol
from uuid import UUID

FIRST_CARD: Final = "fund to first card"
LATE_CARD: Final = "fund to late card"
WELCOME: Final = "AUTH to WELCOME"
ANSWER: Final = "accept to answer"
CANCEL: Final = "cancel to push"
SESSION: Final = "session"
"""What is measured beside the REST calls, which are named by method and path. `session` counts a
socket's life, and fails with each Finding. A late card is the first of a task with hardly a free
hustler near when it was funded: it waited for one, or for a larger radius, not for the service."""


class Meter(Protocol):
    """Takes what users measure."""

    def measured(self, name: str, seconds: float) -> None:
        """Takes a success and its duration."""

    def failed(self, name: str, error: Exception, seconds: float = 0.0) -> None:
        """Takes a failure."""


class FirstCards:
    """Tasks that were just funded, until a card of theirs is seen on any socket of this process.

    Counted from before the request is sent, since a card may overtake the answer.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._funded: dict[UUID, tuple[str, float]] = {}

    def funding(self, task: UUID, *, hustlers_near: bool) -> None:
        """Starts the clock of a task."""
        self._funded[task] = (FIRST_CARD if hustlers_near else LATE_CARD, time.monotonic())

    def seen(self, task: UUID) -> None:
        """Stops it at the first card; later ones are not counted."""
        if (funded := self._funded.pop(task, None)) is not None:
            name, began = funded
            self._meter.measured(name, time.monotonic() - began)

    def forget(self, task: UUID) -> None:
        """Drops a task that has ended without a card."""
        self._funded.pop(task, None)
