"""Metrics of WebSocket sessions: how many, how they began, and their delivery."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.metrics.buckets import FAST_S


class SessionMetrics:
    """Recorder of sessions, slow sockets, replays and the delay of a poster's notification."""

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
        """Counts one more authenticated socket."""
        self._sessions.inc()

    def disconnected(self) -> None:
        """Counts one authenticated socket less."""
        self._sessions.dec()

    def started(self, how: str) -> None:
        """Counts one opened session: new, resumed, or resync."""
        self._session_starts.labels(how).inc()

    def slow_socket_dropped(self) -> None:
        """Counts one socket aborted because its client did not read."""
        self._slow_sockets.inc()

    def events_replayed(self, count: int) -> None:
        """Counts durable events sent from the log."""
        self._replayed.inc(count)

    def accept_notified(self, seconds: float) -> None:
        """Observes the time from a committed accept to the write to its poster's socket."""
        self._accept_notified_seconds.observe(seconds)

    def live_sessions(self, count: int) -> None:
        """Sets the number of hustlers in LIVE mode now."""
        self._live_sessions.set(count)
