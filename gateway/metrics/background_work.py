"""Metrics of background work: the backlog, and failures after a commit."""

from __future__ import annotations

from collections.abc import Callable

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
            "Committed commands and changes that a subscriber raised on.",
            ["subscriber"],
            registry=registry,
        )
        self._horizon_age_seconds = Gauge(
            "hustlexp_net_horizon_age_seconds",
            "How long ago everything committed by then had been passed on to this process.",
            registry=registry,
        )

    def watch_horizon(self, age_s: Callable[[], float]) -> None:
        """Exposes the age of the change feed's horizon, in seconds, from now on."""
        self._horizon_age_seconds.set_function(age_s)

    def subscriber_failed(self, subscriber: str) -> None:
        """Counts a subscriber that raised on a committed command, or on what changed."""
        self._subscriber_failures.labels(subscriber).inc()

    def settlements_waiting(self, count: int) -> None:
        """Sets the number of settlements due now."""
        self._settlements_pending.set(count)

    def timer_lag(self, seconds: float) -> None:
        """Sets how late the oldest due timer is, in seconds."""
        self._timer_lag_seconds.set(seconds)
