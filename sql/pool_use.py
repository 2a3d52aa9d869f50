"""How much of a connection pool is in use, and how long its callers wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolUse:
    """The busy, idle and awaited connections of a pool at one instant."""

    busy: int
    idle: int
    size_max: int
    waiting: int
