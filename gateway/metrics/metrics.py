"""Every figure the service exports, declared once, with its unit in its name.

The rooms below know nothing of Prometheus: they call the recorder Protocols this class implements.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from engine.kernel.errors import ErrorKind
from sql.pool_use import PoolUse

FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Buckets in seconds for what machinery does."""
HUMAN_S = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600)
"""Buckets in seconds for what people do within a broadcast of at most 600 s."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
"""Methods told apart; a client may invent others without end."""

Road = Literal["rest", "socket"]
Part = Literal["postgres", "valkey"]


class Metrics:
    """One registry with all metrics of a process."""

    def __init__(self) -> None:
        # When each series began: it would double the page, and nobody reads it from text.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self.registry = registry
        # ── REST and refusals ────────────────────────────────────────────────────────────────
        self.requests = Counter(
            "hustlexp_requests",
            "REST requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "hustlexp_request_seconds",
            "Time from request to answer; long polls wait on purpose.",
            ["route"],
            buckets=FAST_S,
            registry=registry,
        )
        self.refusals = Counter(
            "hustlexp_refusals",
            "Refusals told to clients, by identity and road (rest, socket).",
            ["code", "invariant", "road"],
            registry=registry,
        )
        self.closings = Counter(
            "hustlexp_connections_refused",
            "Connections closed before a request was understood or read to its end, by reason.",
            ["reason"],
            registry=registry,
        )
        self.aways = Counter(
            "hustlexp_away",
            "Times a call found postgres or valkey away.",
            ["part"],
            registry=registry,
        )
        # At 0 from the start: Prometheus sees no increase in what was not there before.
        for road in ("rest", "socket"):
            self.refusals.labels("INTERNAL_ERROR", "", road)
        for part in ("postgres", "valkey"):
            self.aways.labels(part)
        # ── Sessions ─────────────────────────────────────────────────────────────────────────
        self.sessions = Gauge(
            "hustlexp_sessions", "Authenticated WebSocket sessions now.", registry=registry
        )
        self.live_sessions = Gauge(
            "hustlexp_live_sessions", "Hustlers in LIVE mode now.", registry=registry
        )
        self.session_starts = Counter(
            "hustlexp_session_starts",
            "Sessions opened: new, resumed by last_seq, or told to resync.",
            ["how"],
            registry=registry,
        )
        self.slow_sockets = Counter(
            "hustlexp_slow_sockets_dropped",
            "Sockets cut because they did not read what was sent to them.",
            registry=registry,
        )
        self.replayed = Counter(
            "hustlexp_events_replayed",
            "Durable events sent from the log instead of by push.",
            registry=registry,
        )
        # ── Broadcast ────────────────────────────────────────────────────────────────────────
        self.broadcasts = Gauge("hustlexp_broadcasts", "Broadcasts running now.", registry=registry)
        self.offers = Counter("hustlexp_offers", "Offers made.", registry=registry)
        self.deferred = Counter(
            "hustlexp_offers_deferred",
            "Offers left to a later tick by a cap (per broadcast, per hustler).",
            registry=registry,
        )
        self.resent = Counter(
            "hustlexp_offers_resent",
            "Cards sent again because no socket had taken them within 2 s.",
            registry=registry,
        )
        self.tick_seconds = Histogram(
            "hustlexp_tick_seconds",
            "Work of one tick of the broadcaster.",
            buckets=FAST_S,
            registry=registry,
        )
        # ── The success metric and the machinery's share of it ───────────────────────────────
        self.evaluated = Counter(
            "hustlexp_pairs_evaluated",
            "Pairs of broadcast and hustler judged by the database.",
            registry=registry,
        )
        self.wave_queries = Counter(
            "hustlexp_wave_queries",
            "Queries of the broadcaster; none in a quiet tick.",
            registry=registry,
        )
        self.wave_failures = Counter(
            "hustlexp_wave_failures",
            "Rounds of a broadcaster loop lost to a failure.",
            ["loop"],
            registry=registry,
        )
        self.first_offer_seconds = Histogram(
            "hustlexp_first_offer_seconds",
            "Machinery: from funded to the first offers inserted.",
            buckets=FAST_S,
            registry=registry,
        )
        self.broadcasts_ended = Counter(
            "hustlexp_broadcasts_ended",
            "Broadcasts that are over, by how they ended; EXPIRED ones nobody accepted.",
            ["state"],
            registry=registry,
        )
        self.first_card_seconds = Histogram(
            "hustlexp_first_card_seconds",
            "Machinery: from funded to the first card written to a socket.",
            buckets=FAST_S,
            registry=registry,
        )
        self.told_seconds = Histogram(
            "hustlexp_accept_told_seconds",
            "Machinery: from a committed accept until the poster's socket was written.",
            buckets=FAST_S,
            registry=registry,
        )
        self.accept_seconds = Histogram(
            "hustlexp_time_to_accept_seconds",
            "From funded to accepted, per task; the goal is a median of at most 60 s.",
            buckets=HUMAN_S,
            registry=registry,
        )
        self.human_seconds = Histogram(
            "hustlexp_human_accept_seconds",
            "People: from the winner's card on the socket to the winner's accept.",
            buckets=HUMAN_S,
            registry=registry,
        )
        # ── What waits ───────────────────────────────────────────────────────────────────────
        self.settlements_pending = Gauge(
            "hustlexp_settlements_pending",
            "Settlements waiting for their provider call.",
            registry=registry,
        )
        self.timer_lag_seconds = Gauge(
            "hustlexp_timer_lag_seconds",
            "How long the oldest due timer has been waiting.",
            registry=registry,
        )
        # ── What must hold ───────────────────────────────────────────────────────────────────
        self.invariant_rows = Gauge(
            "hustlexp_invariant_disagreements",
            "Rows that disagreed with a derived fact at the last verification, by check.",
            ["check"],
            registry=registry,
        )
        self.verified_seconds = Gauge(
            "hustlexp_verified_timestamp_seconds",
            "When the last verification of all derived facts ended (Unix time).",
            registry=registry,
        )
        self.verify_interval_seconds = Gauge(
            "hustlexp_verify_interval_seconds",
            "How often all derived facts are verified (HX_VERIFY_S); 0 never.",
            registry=registry,
        )

        # ── The process itself ───────────────────────────────────────────────────────────────
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        Info("hustlexp_build", "What runs here, as labels; always 1.", registry=registry).info(
            {"version": version("hustlexp-live"), "python": platform.python_version()}
        )
        self.loop_lag_seconds = Histogram(
            "hustlexp_loop_lag_seconds",
            "How late the event loop woke a sleeper: what everything else waited as well.",
            buckets=FAST_S,
            registry=registry,
        )
        self.full_collection_seconds = Histogram(
            "hustlexp_full_collection_seconds",
            "Pauses of the process for a full garbage collection (the oldest generation).",
            buckets=FAST_S,
            registry=registry,
        )
        self.database_wait_seconds = Histogram(
            "hustlexp_database_wait_seconds",
            "How long calls waited for a connection of the pool.",
            buckets=FAST_S,
            registry=registry,
        )
        self.database_connections = Gauge(
            "hustlexp_database_connections",
            "Connections of the pool now, by state (busy, idle).",
            ["state"],
            registry=registry,
        )
        self.database_connections_max = Gauge(
            "hustlexp_database_connections_max",
            "Connections that the pool may open (HX_POSTGRES_POOL).",
            registry=registry,
        )
        self.database_calls_waiting = Gauge(
            "hustlexp_database_calls_waiting",
            "Calls that wait for a connection of the pool now.",
            registry=registry,
        )

    def page(self) -> bytes:
        """The Prometheus text page."""
        return generate_latest(self.registry)

    # ── What the rooms report ────────────────────────────────────────────────────────────────

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered REST request; `route` is the template, never the path."""
        known = method if method in METHODS else "other"
        self.requests.labels(known, route, str(status)).inc()
        self.request_seconds.labels(route).observe(seconds)

    def pool(self, use: Callable[[], PoolUse]) -> None:
        """The database's pool, looked at whenever somebody scrapes."""
        self.database_connections.labels("busy").set_function(lambda: use().busy)
        self.database_connections.labels("idle").set_function(lambda: use().idle)
        self.database_connections_max.set_function(lambda: use().size_max)
        self.database_calls_waiting.set_function(lambda: use().waiting)

    def refused(self, road: Road, kind: ErrorKind) -> None:
        """One refusal told to a client."""
        self.refusals.labels(kind.code, kind.invariant, road).inc()

    def closed(self, reason: str) -> None:
        """One connection closed although its client would have gone on."""
        self.closings.labels(reason).inc()

    def away(self, part: Part) -> None:
        """A call found a server away."""
        self.aways.labels(part).inc()

    def timer_lag(self, seconds: float) -> None:
        """How late the oldest due timer is."""
        self.timer_lag_seconds.set(seconds)

    def settlements_waiting(self, count: int) -> None:
        """Settlements due now."""
        self.settlements_pending.set(count)

    def invariant(self, check: str, disagreements: int) -> None:
        """What one check of a verification found."""
        self.invariant_rows.labels(check).set(disagreements)

    def verified(self) -> None:
        """A verification has ended."""
        self.verified_seconds.set_to_current_time()

    # ── broadcast.ports.WaveMetrics ──────────────────────────────────────────────────────────

    def offers_made(self, count: int) -> None:
        """Offers inserted."""
        self.offers.inc(count)

    def offers_deferred(self, count: int) -> None:
        """Pairs that a cap put off to a later tick."""
        self.deferred.inc(count)

    def offers_resent(self, count: int) -> None:
        """Cards delivered again."""
        self.resent.inc(count)

    def pairs_evaluated(self, count: int) -> None:
        """Pairs judged by the database."""
        self.evaluated.inc(count)

    def ticked(self, seconds: float) -> None:
        """One evaluation of all broadcasts."""
        self.tick_seconds.observe(seconds)

    def database_called(self) -> None:
        """One query of the broadcaster."""
        self.wave_queries.inc()

    def failed(self, loop: str) -> None:
        """One round of a loop was lost."""
        self.wave_failures.labels(loop).inc()

    def running(self, broadcasts: int) -> None:
        """Broadcasts running now."""
        self.broadcasts.set(broadcasts)

    def funded_to_insert(self, seconds: float) -> None:
        """From the start of a broadcast to its first offers."""
        self.first_offer_seconds.observe(seconds)

    # ── Time to accept ───────────────────────────────────────────────────────────────────────

    def broadcast_ended(
        self, state: str, first_card_s: float | None, accept_s: float | None, human_s: float | None
    ) -> None:
        """One broadcast that is over; times are None where there was no card or no accept."""
        self.broadcasts_ended.labels(state).inc()
        for histogram, seconds in (
            (self.first_card_seconds, first_card_s),
            (self.accept_seconds, accept_s),
            (self.human_seconds, human_s),
        ):
            if seconds is not None:
                histogram.observe(seconds)
