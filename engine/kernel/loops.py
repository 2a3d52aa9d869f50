"""Loops that outlive what goes wrong in one of their rounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn, Protocol

import structlog

from engine.kernel.errors import Refusal
from geo.valkey import ValkeyAway
from sql.database import DatabaseAway

log = structlog.get_logger(__name__)


async def steadily(
    name: str, work: Callable[[], Awaitable[None]], *, pause_s: float = 1.0
) -> NoReturn:
    """Repeats a round for ever; one that fails is logged, and the next begins after a pause.

    A server that is away is expected and told in one line; anything else is a defect with its
    traceback, and still no reason to leave everybody else unserved.
    """
    while True:
        try:
            await work()
        except (DatabaseAway, ValkeyAway, Refusal) as away:
            log.warning("loop_delayed", loop=name, error=str(away))
            await asyncio.sleep(pause_s)
        except Exception:
            log.exception("loop_failed", loop=name)
            await asyncio.sleep(pause_s)


class Loop(Protocol):
    """Something that works by itself until it is cancelled."""

    async def run(self) -> None:
        """For ever."""


@asynccontextmanager
async def running(loops: Sequence[Loop]) -> AsyncIterator[None]:
    """Every loop in one task group while the block runs; a loop that dies ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop.run(), name=type(loop).__name__) for loop in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
