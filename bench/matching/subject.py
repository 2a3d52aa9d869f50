"""The process under measurement: one broadcaster and nothing beside it, told what to do on stdin.

Commands, a line each, answered by a line of JSON: `settle`, `tick N`, `churn SECONDS`, `quit`.
CPU is this process's own; a block is the CPU between two turns of the event loop.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import structlog

from broadcast.broadcaster import Broadcaster
from broadcast.ports import BroadcastUpdate
from engine.events.changes import ChangeFeed
from engine.kernel.applied import ClosedBroadcast
from engine.kernel.ids import UserId
from engine.kernel.store import Store
from engine.live.views import OfferCard
from gateway.server.frozen_heap import HeapSweep, frozen_heap
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from sql.database import Database

CONNECTIONS: Final = 8
RINGS_SHARE: Final = 0.01
"""So little of all that was asked is what rings add in two ticks."""


class Screens:
    """Delivery to nobody: what sockets cost is measured elsewhere."""

    def cards(self, cards: Sequence[tuple[UserId, OfferCard]]) -> None:
        """Drops the cards."""

    def taken(self) -> Mapping[tuple[UUID, UUID], float]:
        """Returns nothing: no card has reached a socket."""
        return {}

    def connected(self) -> Collection[UserId]:
        """Returns nobody: whatever was not taken comes with a snapshot."""
        return ()

    def broadcast_update(self, poster: UserId, update: BroadcastUpdate) -> None:
        """Drops an update."""

    def closed(self, closed: ClosedBroadcast) -> None:
        """Drops a closing."""


class Figures:
    """What the broadcaster counts."""

    def __init__(self) -> None:
        self.offers = self.asked = self.read = self.calls = self.ticks = self.broadcasts = 0
        self.late_s: list[float] = []
        self.failures: list[str] = []

    def offers_made(self, count: int) -> None:
        """Counts offers."""
        self.offers += count

    def offers_deferred(self, count: int) -> None:
        """Ignores what a cap deferred."""

    def offers_resent(self, count: int) -> None:
        """Ignores cards sent again."""

    def pairs_evaluated(self, count: int) -> None:
        """Counts pairs put to the database."""
        self.asked += count

    def hustlers_read(self, count: int) -> None:
        """Counts hustlers read."""
        self.read += count

    def ticked(self, seconds: float) -> None:  # noqa: ARG002
        """Counts a tick."""
        self.ticks += 1

    def expanded(self, late_s: Sequence[float]) -> None:
        """Keeps how late rings were."""
        self.late_s += late_s

    def database_called(self) -> None:
        """Counts a query."""
        self.calls += 1

    def failed(self, loop: str) -> None:
        """Keeps a failed round."""
        self.failures.append(loop)

    def running(self, broadcasts: int) -> None:
        """Keeps how many run."""
        self.broadcasts = broadcasts

    def funded_to_insert(self, seconds: float) -> None:
        """Ignores the time to the first offers."""


class Subject:
    """The broadcaster with its figures."""

    def __init__(self, broadcaster: Broadcaster, figures: Figures, blocks: Blocks) -> None:
        self._broadcaster = broadcaster
        self._figures = figures
        self._blocks = blocks

    async def settle(self) -> dict[str, Any]:
        """Waits until two ticks have asked for rings alone, which go on growing; says when they began."""
        begun_s = time.monotonic()
        figures, seen = self._figures, 0
        while True:
            done_s = time.monotonic() - begun_s
            ticks = figures.ticks
            while figures.ticks < ticks + 2:  # noqa: ASYNC110 - a metric sets no event
                await asyncio.sleep(0.02)
            if figures.asked and figures.asked - seen <= RINGS_SHARE * figures.asked:
                return {"seconds": done_s, **self._counts()}
            seen = figures.asked

    async def tick(self, count: int) -> dict[str, Any]:
        """Compares everybody with everything so many times; returns the CPU of each, in ms."""
        cpu_ms = []
        for _ in range(count):
            begun = time.process_time()
            await self._broadcaster.compare_all()
            cpu_ms.append((time.process_time() - begun) * 1e3)
        return {"cpu_ms": cpu_ms, **self._counts()}

    async def churn(self, seconds: float) -> dict[str, Any]:
        """Goes on for so long, whatever happens meanwhile."""
        self._figures.late_s.clear()
        self._blocks.longest_s.clear()
        offers, cpu = self._figures.offers, time.process_time()
        await asyncio.sleep(seconds)
        blocks = sorted(self._blocks.longest_s, reverse=True)
        return {
            "cpu_share": (time.process_time() - cpu) / seconds,
            "offers": self._figures.offers - offers,
            "late_s": self._figures.late_s,
            "blocks_ms": [block * 1e3 for block in blocks[:1000]],
            **{name: value for name, value in self._counts().items() if name != "offers"},
        }

    def _counts(self) -> dict[str, Any]:
        figures = self._figures
        return {
            "offers": figures.offers,
            "asked": figures.asked,
            "read": figures.read,
            "broadcasts": figures.broadcasts,
            "failures": figures.failures,
            "resident_mb": resident_mb(),
            "cpu_s": time.process_time(),
        }


class Blocks:
    """The CPU of each turn of the event loop that took a millisecond or more."""

    def __init__(self) -> None:
        self.longest_s: list[float] = []

    def watch(self) -> None:
        """Measures every callback of asyncio from now on."""
        run = asyncio.events.Handle._run  # noqa: SLF001 - the one place that every callback passes
        longest_s = self.longest_s

        def timed(handle: asyncio.Handle) -> None:
            begun = time.thread_time()
            run(handle)
            took = time.thread_time() - begun
            if took > 0.001:
                longest_s.append(took)

        asyncio.events.Handle._run = timed  # type: ignore[method-assign, assignment]  # noqa: SLF001


def resident_mb() -> float:
    """Returns the memory that this process holds now, in 10⁶ bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


async def main(postgres_dsn: str, redis_url: str) -> None:
    """Runs the broadcaster and answers commands until `quit`."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    blocks, figures = Blocks(), Figures()
    database = await Database.open(postgres_dsn, size=CONNECTIONS)
    valkey = open_valkey(redis_url)
    broadcaster = Broadcaster(database, Presence(valkey), Screens(), figures, random=Random(1))
    subject = Subject(broadcaster, figures, blocks)
    feed = ChangeFeed(Store(database), [broadcaster], every_s=1.0, failed=figures.failed)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    with frozen_heap():
        blocks.watch()
        tasks = [asyncio.create_task(part.run()) for part in (broadcaster, feed, HeapSweep())]
        while (line := (await commands.readline()).decode().split()) != ["quit"]:
            name, *numbers = line
            answer = await getattr(subject, name)(*map(int, numbers))
            print(json.dumps(answer), flush=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await valkey.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
