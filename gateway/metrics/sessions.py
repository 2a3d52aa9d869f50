"""WebSocket sessions: how many, how they began, what delivery to them cost."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.metrics.buckets import FAST_S


class SessionMetrics:
    """Counts sessions, slow sockets, replays, and times how late a poster hears of an accept."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sessions = Gauge(
            "hustlexp_sessions", "Authenticated WebSocket sessions now.", registry=registry
        )
        self._live_sessions = Gauge(
            "hustlexp_live_sessions", "Hustlers in LIVE mode now.", registry=registry
        )
        self._session_starts = Counter(
            "hustlexp_session_starts",
            "Sessions opened: new, resumed by last_seq, or sent a resync.",
            ["how"],
            registry=registry,
        )
        self._slow_sockets = Counter(
            "hustlexp_slow_sockets_dropped",
            "Sockets cut because they did not read what was sent to them.",
            registry=registry,
        )
        self._replayed = Counter(
            "hustlexp_events_replayed",
            "Durable events sent from the log instead of by push.",
            registry=registry,
        )
        self._accept_notified_seconds = Histogram(
            "hustlexp_accept_notified_seconds",
            "Machinery: from a committed accept until the poster's socket was written.",
            buckets=FAST_S,
            registry=registry,
        )

    def connected(self) -> None:
        """One more authenticated socket."""
        self._sessions.inc()

    def disconnected(self) -> None:
        """One authenticated socket less."""
        self._sessions.dec()

    def started(self, how: str) -> None:
        """One session opened: new, resumed, or resync."""
        self._session_starts.labels(how).inc()

    def slow_socket_dropped(self) -> None:
        """One socket cut because its client did not read."""
        self._slow_sockets.inc()

    def events_replayed(self, count: int) -> None:
        """Durable events sent from the log."""
        self._replayed.inc(count)

    def accept_notified(self, seconds: float) -> None:
        """From a committed accept until its poster's socket was written."""
        self._accept_notified_seconds.observe(seconds)

    def live_sessions(self, count: int) -> None:
        """Hustlers in LIVE mode now."""
        self._live_sessions.set(count)
