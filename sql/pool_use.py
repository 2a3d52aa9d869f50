"""How much of a connection pool is in use, and how long its callers wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolUse:
    """One look at a pool of connections."""

    busy: int
    idle: int
    size_max: int
    waiting: int
