"""What waits to be done, and what was lost after a commit."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class BackgroundWorkMetrics:
    """How much the workers are behind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._settlements_pending = Gauge(
            "hustlexp_settlements_pending",
            "Settlements waiting for their provider call.",
            registry=registry,
        )
        self._timer_lag_seconds = Gauge(
            "hustlexp_timer_lag_seconds",
            "How long the oldest due timer has been waiting.",
            registry=registry,
        )
        self._subscriber_failures = Counter(
            "hustlexp_subscriber_failures",
            "Committed commands that a subscriber raised on.",
            ["subscriber"],
            registry=registry,
        )

    def subscriber_failed(self, subscriber: str) -> None:
        """A subscriber raised on a committed command."""
        self._subscriber_failures.labels(subscriber).inc()

    def settlements_waiting(self, count: int) -> None:
        """Settlements due now."""
        self._settlements_pending.set(count)

    def timer_lag(self, seconds: float) -> None:
        """How late the oldest due timer is."""
        self._timer_lag_seconds.set(seconds)
