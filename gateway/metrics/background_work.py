"""Metrics of background work: the backlog, and failures after a commit."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class BackgroundWorkMetrics:
    """Recorder of the workers' backlog and of failed subscribers."""

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
        """Counts a subscriber that raised on a committed command."""
        self._subscriber_failures.labels(subscriber).inc()

    def settlements_waiting(self, count: int) -> None:
        """Sets the number of settlements due now."""
        self._settlements_pending.set(count)

    def timer_lag(self, seconds: float) -> None:
        """Sets how late the oldest due timer is, in seconds."""
        self._timer_lag_seconds.set(seconds)
