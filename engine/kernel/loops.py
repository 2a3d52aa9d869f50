"""Supervision of background loops: a failing round is logged and retried after a back-off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final, NoReturn, Protocol

import structlog

from engine.kernel.errors import Refusal
from geo.valkey import ValkeyAway
from sql.database import DatabaseAway

log = structlog.get_logger(__name__)

_MAX_DOUBLINGS: Final = 30
"""A server may be away for long; the power stays a small number."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait of a loop after failures in a row: doubling from `first_s` up to `longest_s`.

    With `random` each wait is drawn between half of it and all of it, so that processes which lost
    the same server do not come back together. `Backoff(1.0)` waits a second each time.
    """

    first_s: float
    longest_s: float = 0.0
    random: Random | None = None

    def after(self, failures: int) -> float:
        """Returns the seconds to wait after so many failures in a row; the first one is 1."""
        doubled_s = self.first_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
        pause_s = max(self.first_s, min(doubled_s, self.longest_s))
        return self.random.uniform(pause_s / 2, pause_s) if self.random else pause_s


async def supervise(
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    backoff: Backoff = Backoff(1.0),
    failed: Callable[[str], None] = lambda _: None,
) -> NoReturn:
    """Repeats `work` until cancelled; a failing round is logged and reported to `failed`.

    `failed` receives the loop's name, and the next round begins after the back-off. A server
    that is away is expected and takes one line; anything else is a defect with its traceback,
    and still no reason to stop the loop.
    """
    failures = 0
    while True:
        try:
            await work()
            failures = 0
        except Exception as error:
            failures += 1
            failed(name)
            if isinstance(error, DatabaseAway | ValkeyAway | Refusal):
                log.warning("loop_delayed", loop=name, failures=failures, error=str(error))
            else:
                log.exception("loop_failed", loop=name, failures=failures)
            await asyncio.sleep(backoff.after(failures))


class Loop(Protocol):
    """A background loop of the service."""

    async def run(self) -> None:
        """Runs rounds until cancelled."""


@asynccontextmanager
async def run_loops(loops: Sequence[Loop]) -> AsyncIterator[None]:
    """Runs every loop in one task group while the block runs; a loop that dies ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop.run(), name=type(loop).__name__) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
