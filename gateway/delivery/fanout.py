"""Fan-out of writes in time slices, so that a large one does not delay the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator

import structlog

from gateway.contract import limits

log = structlog.get_logger(__name__)


class Fanout:
    """Carries out jobs in order, one write per step, at most a slice per turn of the loop.

    A job begins at once when nothing else waits; what does not fit the slice is left to `run`.
    """

    def __init__(self) -> None:
        self._jobs: deque[Iterator[None]] = deque()
        self._more = asyncio.Event()

    def start(self, job: Iterable[None]) -> None:
        """Queues a job, and runs its first slice at once when no other job waits."""
        idle = not self._jobs
        self._jobs.append(iter(job))
        if idle:
            self._slice()

    async def run(self) -> None:
        """Runs the queued jobs slice by slice until cancelled."""
        while True:
            await self._more.wait()
            self._slice()
            await asyncio.sleep(0)

    def _slice(self) -> None:
        for _ in range(limits.FANOUT_SLICE):
            if not self._jobs:
                break
            try:
                next(self._jobs[0])
            except StopIteration:
                self._jobs.popleft()
            except Exception:
                self._jobs.popleft()
                log.exception("fanout_failed")
        if self._jobs:
            self._more.set()
        else:
            self._more.clear()
