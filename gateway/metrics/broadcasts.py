"""Metrics of broadcasts: the broadcaster's work, and the time from a task to its accept."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.metrics.buckets import FAST_S, HUMAN_S


class BroadcastMetrics:
    """The recorder of `broadcast.ports.WaveMetrics`, and the times to accept of ended broadcasts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._broadcasts = Gauge(
            "hustlexp_broadcasts", "Broadcasts running now.", registry=registry
        )
        self._offers = Counter("hustlexp_offers", "Offers made.", registry=registry)
        self._deferred = Counter(
            "hustlexp_offers_deferred",
            "Offers left to a later tick by a cap (per broadcast, per hustler).",
            registry=registry,
        )
        self._resent = Counter(
            "hustlexp_offers_resent",
            "Cards sent again because no socket had taken them within 2 s.",
            registry=registry,
        )
        self._tick_seconds = Histogram(
            "hustlexp_tick_seconds",
            "Work of one tick of the broadcaster.",
            buckets=FAST_S,
            registry=registry,
        )
        self._expansion_late_seconds = Histogram(
            "hustlexp_expansion_late_seconds",
            "From the instant at which a radius grows to the last offer of its new ring.",
            buckets=FAST_S,
            registry=registry,
        )
        self._evaluated = Counter(
            "hustlexp_pairs_evaluated",
            "Pairs of broadcast and hustler put to the database, which inserts or refuses them.",
            registry=registry,
        )
        self._hustlers_read = Counter(
            "hustlexp_hustlers_read",
            "Hustlers whose facts the broadcaster read: new ones, and those that changed.",
            registry=registry,
        )
        self._queries = Counter(
            "hustlexp_wave_queries",
            "Queries of the broadcaster; none in a quiet tick.",
            registry=registry,
        )
        self._failures = Counter(
            "hustlexp_wave_failures",
            "Rounds of a broadcaster loop, and searches for a first wave, lost to a failure.",
            ["loop"],
            registry=registry,
        )
        self._first_offer_seconds = Histogram(
            "hustlexp_first_offer_seconds",
            "Machinery: from funded to the first offers inserted.",
            buckets=FAST_S,
            registry=registry,
        )
        self._ended = Counter(
            "hustlexp_broadcasts_ended",
            "Broadcasts that are over, by how they ended; EXPIRED ones nobody accepted.",
            ["state"],
            registry=registry,
        )
        self._first_card_seconds = Histogram(
            "hustlexp_first_card_seconds",
            "Machinery: from funded to the first card written to a socket.",
            buckets=FAST_S,
            registry=registry,
        )
        self._accept_seconds = Histogram(
            "hustlexp_time_to_accept_seconds",
            "From funded to accepted, per task; the goal is a median of at most 60 s.",
            buckets=HUMAN_S,
            registry=registry,
        )
        self._human_seconds = Histogram(
            "hustlexp_human_accept_seconds",
            "People: from the winner's card on the socket to the winner's accept.",
            buckets=HUMAN_S,
            registry=registry,
        )

    def offers_made(self, count: int) -> None:
        """Counts inserted offers."""
        self._offers.inc(count)

    def offers_deferred(self, count: int) -> None:
        """Counts pairs that a cap deferred to a later tick."""
        self._deferred.inc(count)

    def offers_resent(self, count: int) -> None:
        """Counts cards delivered again."""
        self._resent.inc(count)

    def pairs_evaluated(self, count: int) -> None:
        """Counts pairs evaluated by the database."""
        self._evaluated.inc(count)

    def hustlers_read(self, count: int) -> None:
        """Counts hustlers whose facts were read from the database."""
        self._hustlers_read.inc(count)

    def ticked(self, seconds: float) -> None:
        """Observes the duration of one evaluation of all broadcasts."""
        self._tick_seconds.observe(seconds)

    def expanded(self, late_s: Sequence[float]) -> None:
        """Observes how late the rings of grown radii were offered."""
        for seconds in late_s:
            self._expansion_late_seconds.observe(max(0.0, seconds))

    def database_called(self) -> None:
        """Counts one query of the broadcaster."""
        self._queries.inc()

    def failed(self, loop: str) -> None:
        """Counts one failed round of a loop."""
        self._failures.labels(loop).inc()

    def running(self, broadcasts: int) -> None:
        """Sets the number of broadcasts running now."""
        self._broadcasts.set(broadcasts)

    def funded_to_insert(self, seconds: float) -> None:
        """Observes the time from the start of a broadcast to its first offers."""
        self._first_offer_seconds.observe(seconds)

    def ended(
        self, state: str, first_card_s: float | None, accept_s: float | None, human_s: float | None
    ) -> None:
        """Records one ended broadcast; times are None where there was no card or no accept."""
        self._ended.labels(state).inc()
        for histogram, seconds in (
            (self._first_card_seconds, first_card_s),
            (self._accept_seconds, accept_s),
            (self._human_seconds, human_s),
        ):
            if seconds is not None:
                histogram.observe(seconds)
