"""Liveness and readiness of the process, for load balancers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, TypeVar

from msgspec import Struct

from sql.database import DatabaseError, DatabaseUnfit, Session
from sql.schema_fit import Ledger, fit

PROBE_WITHIN_S: Final = 2.0
"""A part that has not answered by then counts as away."""

PartState = Literal["ok", "away"]
DatabaseState = Literal["ok", "away", "read_only", "unfit"]


class Readiness(Struct, frozen=True):
    """What /readyz tells: `ready` decides the status, the rest says why.

    Without Valkey the service is degraded, not unready: it still decides accepts, keeps events and
    moves money, while offers reach nobody new. All processes share one Valkey, so taking them out
    of traffic for it would turn a part's outage into the whole service's.
    """

    ready: bool
    degraded: bool
    postgres: DatabaseState
    """`read_only`: it answers and takes no writes, as a standby does; `unfit`: the service's login
    has other rights or no time-outs, as behind a pooler that dropped them."""
    valkey: PartState
    migrations: Literal["complete", "missing", "unknown"]
    """`complete` also where a later release has migrated: this process is being replaced, and goes
    on until then. It would not start anew."""


T = TypeVar("T")
Probe = Callable[[], Awaitable[object]]


class Health:
    """Checks the servers that this process depends on."""

    def __init__(
        self,
        *,
        session: Callable[[], Awaitable[Session]],
        applied: Callable[[], Awaitable[Ledger]],
        expected: Mapping[str, str],
        valkey: Probe,
    ) -> None:
        self._session = session
        self._applied = applied
        self._expected = expected
        self._valkey = valkey
        self.is_leaving = False
        """Whether this process ends: no balancer is to send it anybody new."""

    async def readiness(self) -> Readiness:
        """Checks PostgreSQL's rights and migrations and pings Valkey, all at once."""
        session, applied, pong = await asyncio.gather(
            _within(self._session()),
            _within(self._applied()),
            _within(self._valkey()),
            return_exceptions=True,
        )
        if isinstance(applied, DatabaseError):
            applied = Ledger({})  # it answers that it has no such table: nothing was ever applied
        known = not isinstance(applied, BaseException)
        complete = not isinstance(applied, BaseException) and self._complete(applied)
        is_known = known or isinstance(session, DatabaseUnfit)
        postgres = _database_state(session) if is_known else "away"
        valkey_ok = not isinstance(pong, BaseException)
        ready = complete and postgres == "ok" and not self.is_leaving
        return Readiness(
            ready=ready,
            degraded=not (ready and valkey_ok),
            postgres=postgres,
            valkey="ok" if valkey_ok else "away",
            migrations=_migrations(known=known, complete=complete),
        )

    def _complete(self, ledger: Ledger) -> bool:
        """Whether this process may go on; it does after a later release has migrated, too."""
        found = fit(ledger, self._expected)
        return found.serves or found.side == "database newer"


def _database_state(session: Session | BaseException) -> DatabaseState:
    if isinstance(session, DatabaseUnfit):
        return "unfit"
    if isinstance(session, BaseException):
        return "away"
    if session.complaints:
        return "unfit"
    return "read_only" if session.read_only else "ok"


def _migrations(*, known: bool, complete: bool) -> Literal["complete", "missing", "unknown"]:
    if not known:
        return "unknown"
    return "complete" if complete else "missing"


async def _within(answer: Awaitable[T]) -> T:
    return await asyncio.wait_for(answer, PROBE_WITHIN_S)
