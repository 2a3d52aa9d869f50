"""Publishes committed commands to delivery, the broadcaster, settlements and tracking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from engine.kernel.applied import Applied

log = structlog.get_logger(__name__)


class Subscriber(Protocol):
    """Receives the result of every committed command, synchronously; must not block.

    Whatever it loses, the log, the next tick or the next poll brings back.
    """

    def applied(self, applied: Applied) -> None:
        """Acts on the result of a committed command."""


class Effects:
    """Publishes the result of each committed command to every subscriber, in their order.

    A subscriber that raises is logged and counted by its class's name, and no other notices.
    """

    def __init__(self, subscribers: Sequence[Subscriber], failed: Callable[[str], object]) -> None:
        """`failed` is called with the name of a subscriber that raised."""
        self._subscribers = tuple(subscribers)
        self._failed = failed

    def publish(self, applied: Applied) -> None:
        """Passes the result to every subscriber; never raises."""
        for subscriber in self._subscribers:
            try:
                subscriber.applied(applied)
            except Exception:
                name = type(subscriber).__name__
                log.exception("subscriber_failed", subscriber=name, task_id=str(applied.task_id))
                self._failed(name)
