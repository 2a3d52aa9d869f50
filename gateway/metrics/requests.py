"""Metrics of requests: answered, refused, cut short, or failed by a lost server."""

from __future__ import annotations

from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from engine.kernel.errors import ErrorKind
from gateway.metrics.buckets import FAST_S

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
"""Methods with a series of their own; a client may invent others without end."""

Channel = Literal["rest", "socket"]
Part = Literal["postgres", "valkey"]


class RequestMetrics:
    """Recorder of answers and refusals of REST and WebSocket, and of early closes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "hustlexp_requests",
            "REST requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "hustlexp_request_seconds",
            "Time from request to answer; long polls wait on purpose.",
            ["route"],
            buckets=FAST_S,
            registry=registry,
        )
        self._refusals = Counter(
            "hustlexp_refusals",
            "Refusals sent to clients, by identity and channel (rest, socket).",
            ["code", "invariant", "channel"],
            registry=registry,
        )
        self._connections_refused = Counter(
            "hustlexp_connections_refused",
            "Connections closed before a request was understood or read to its end, by reason.",
            ["reason"],
            registry=registry,
        )
        self._away_calls = Counter(
            "hustlexp_away",
            "Times a call found postgres or valkey away.",
            ["part"],
            registry=registry,
        )
        # At 0 from the start: Prometheus sees no increase in what was not there before.
        for channel in get_args(Channel):
            self._refusals.labels("INTERNAL_ERROR", "", channel)
        for part in get_args(Part):
            self._away_calls.labels(part)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Records one answered REST request; `route` is the template, never the path."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def refused(self, channel: Channel, kind: ErrorKind) -> None:
        """Counts one refusal sent to a client."""
        self._refusals.labels(kind.code, kind.invariant, channel).inc()

    def connection_refused(self, reason: str) -> None:
        """Counts one connection closed although its client would have gone on."""
        self._connections_refused.labels(reason).inc()

    def away(self, part: Part) -> None:
        """Counts one call that found a server unreachable."""
        self._away_calls.labels(part).inc()
