"""Metrics of the database's connection pool: its use, and the waits for a connection."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, Histogram

from gateway.metrics.buckets import FAST_S
from sql.pool_use import PoolUse


class DatabaseMetrics:
    """Recorder of the pool's use at each scrape, and of each wait for a connection."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._wait_seconds = Histogram(
            "hustlexp_database_wait_seconds",
            "How long calls waited for a connection of the pool.",
            buckets=FAST_S,
            registry=registry,
        )
        self._connections = Gauge(
            "hustlexp_database_connections",
            "Connections of the pool now, by state (busy, idle).",
            ["state"],
            registry=registry,
        )
        self._connections_max = Gauge(
            "hustlexp_database_connections_max",
            "Connections that the pool may open (HX_POSTGRES_POOL).",
            registry=registry,
        )
        self._calls_waiting = Gauge(
            "hustlexp_database_calls_waiting",
            "Calls that wait for a connection of the pool now.",
            registry=registry,
        )

    def watch(self, use: Callable[[], PoolUse]) -> None:
        """Exposes the use of this pool from now on."""
        self._connections.labels("busy").set_function(lambda: use().busy)
        self._connections.labels("idle").set_function(lambda: use().idle)
        self._connections_max.set_function(lambda: use().size_max)
        self._calls_waiting.set_function(lambda: use().waiting)

    def waited(self, seconds: float) -> None:
        """Observes how long one call waited for a connection."""
        self._wait_seconds.observe(seconds)
