"""The counters of a session, for load tests and monitoring."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Connections, duplicate and missing events, log resyncs, and heartbeat round trips."""

    connects: int = 0
    reconnects: int = 0
    duplicates: int = 0
    gaps: int = 0
    resyncs: int = 0
    round_trips_s: list[float] = field(default_factory=list)
