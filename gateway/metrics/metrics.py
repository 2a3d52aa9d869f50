"""The metrics of a process: one registry, and a recorder for each part of the service.

A part reports by its recorder's methods and knows nothing of Prometheus; the families' names, with
their units, stand in the recorders, and `gateway.metrics.figures` says when to worry about each.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.exposition import generate_latest

from gateway.metrics.background_work import BackgroundWorkMetrics
from gateway.metrics.broadcasts import BroadcastMetrics
from gateway.metrics.database import DatabaseMetrics
from gateway.metrics.invariants import InvariantMetrics
from gateway.metrics.process import ProcessMetrics
from gateway.metrics.requests import RequestMetrics
from gateway.metrics.sessions import SessionMetrics


class Metrics:
    """The recorders of a process over their common registry."""

    def __init__(self) -> None:
        # When each series began: it would double the page, and nobody reads it from text.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.requests = RequestMetrics(self.registry)
        self.sessions = SessionMetrics(self.registry)
        self.broadcasts = BroadcastMetrics(self.registry)
        self.background_work = BackgroundWorkMetrics(self.registry)
        self.invariants = InvariantMetrics(self.registry)
        self.database = DatabaseMetrics(self.registry)
        self.process = ProcessMetrics(self.registry)

    def page(self) -> bytes:
        """Returns the metrics of this moment in Prometheus's text format."""
        return generate_latest(self.registry)
