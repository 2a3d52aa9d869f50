"""Metrics of the process: build, resources, event-loop lag, garbage collection."""

from __future__ import annotations

import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, GCCollector, Histogram, Info, ProcessCollector

from gateway.metrics.buckets import FAST_S


class ProcessMetrics:
    """Recorder of build, memory, files, CPU, and of reported stalls of the event loop."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._loop_lag_seconds = Histogram(
            "hustlexp_loop_lag_seconds",
            "How late the event loop woke a sleeper: what everything else waited as well.",
            buckets=FAST_S,
            registry=registry,
        )
        self._full_collection_seconds = Histogram(
            "hustlexp_full_collection_seconds",
            "Pauses for a full garbage collection: every generation, of all that is not frozen.",
            buckets=FAST_S,
            registry=registry,
        )
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        Info("hustlexp_build", "What runs here, as labels; always 1.", registry=registry).info(
            {"version": version("hustlexp-live"), "python": platform.python_version()}
        )

    def loop_lag(self, seconds: float) -> None:
        """Observes how late the event loop woke a sleeper."""
        self._loop_lag_seconds.observe(seconds)

    def full_collection(self, seconds: float) -> None:
        """Observes the pause of one full garbage collection."""
        self._full_collection_seconds.observe(seconds)
