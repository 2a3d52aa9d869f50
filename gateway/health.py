"""Is the process alive, and may it be given traffic?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, TypeVar

from msgspec import Struct

PROBE_WITHIN_S: Final = 2.0
"""A part that has not answered by then counts as away."""

PartState = Literal["ok", "away"]


class Readiness(Struct, frozen=True):
    """What /readyz tells: `ready` decides the status, the rest says why.

    Without Valkey the service is degraded, not unready: it still decides accepts, keeps events and
    moves money, while offers reach nobody new. All processes share one Valkey, so taking them out
    of traffic for it would turn a part's outage into the whole service's.
    """

    ready: bool
    degraded: bool
    postgres: PartState
    valkey: PartState
    migrations: Literal["complete", "missing", "unknown"]


T = TypeVar("T")
Probe = Callable[[], Awaitable[object]]


class Health:
    """Asks the parts this process leans on."""

    def __init__(
        self,
        *,
        applied: Callable[[], Awaitable[Sequence[str]]],
        expected: Sequence[str],
        valkey: Probe,
    ) -> None:
        self._applied = applied
        self._expected = frozenset(expected)
        self._valkey = valkey

    async def readiness(self) -> Readiness:
        """Ask PostgreSQL for its migrations and Valkey for a ping, both at once."""
        applied, pong = await asyncio.gather(
            _within(self._applied()), _within(self._valkey()), return_exceptions=True
        )
        postgres_ok = not isinstance(applied, BaseException)
        complete = not isinstance(applied, BaseException) and self._expected <= set(applied)
        valkey_ok = not isinstance(pong, BaseException)
        return Readiness(
            ready=complete,
            degraded=not (complete and valkey_ok),
            postgres="ok" if postgres_ok else "away",
            valkey="ok" if valkey_ok else "away",
            migrations=_migrations(known=postgres_ok, complete=complete),
        )


def _migrations(*, known: bool, complete: bool) -> Literal["complete", "missing", "unknown"]:
    if not known:
        return "unknown"
    return "complete" if complete else "missing"


async def _within(answer: Awaitable[T]) -> T:
    return await asyncio.wait_for(answer, PROBE_WITHIN_S)
