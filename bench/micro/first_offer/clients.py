"""Crowds in several client processes, asked together."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import msgspec

from bench.micro.first_offer.crowd import Asked
from geo.points import LatLng

SESSIONS_EACH: Final = 2_500
"""Sockets of one client process: so many are written to it within a fraction of a millisecond."""


class Arrivals(msgspec.Struct):
    """When the cards of one broadcast arrived, as Unix times, and how many."""

    first: float
    last: float
    cards: int


class Clients:
    """The client processes; `ids` are their hustlers, in the order in which they were named."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes
        self.ids: list[UUID] = []

    async def begin(self, ws_url: str, people: Sequence[tuple[str, LatLng]]) -> None:
        """Returns when everybody is LIVE."""
        shares = [people[n :: len(self._processes)] for n in range(len(self._processes))]
        for process, share in zip(self._processes, shares, strict=True):
            asked = Asked(ws_url, [(token, at.lat, at.lng) for token, at in share])
            _write(process, msgspec.json.encode(asked))
        answers = await asyncio.gather(*(_read(process) for process in self._processes))
        ids: dict[str, UUID] = {}
        for share, answer in zip(shares, answers, strict=True):
            ids |= {token: UUID(one) for (token, _), one in zip(share, answer, strict=True)}
        self.ids = [ids[token] for token, _ in people]

    async def arrivals(self) -> dict[UUID, Arrivals]:
        """Returns the cards that have arrived since the last call, by broadcast."""
        for process in self._processes:
            _write(process, b"")
        found: dict[UUID, Arrivals] = {}
        for reported in await asyncio.gather(*(_read(process) for process in self._processes)):
            for broadcast, first, last, cards in reported:
                merge(found, UUID(broadcast), Arrivals(first, last, cards))
        return found


def merge(into: dict[UUID, Arrivals], broadcast: UUID, more: Arrivals) -> None:
    """Adds arrivals of one broadcast to those that are known."""
    known = into.setdefault(broadcast, more)
    if known is not more:
        known.first = min(known.first, more.first)
        known.last = max(known.last, more.last)
        known.cards += more.cards


def _write(process: Process, line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line + b"\n")


async def _read(process: Process) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("a client process has died")
    return json.loads(line)


@asynccontextmanager
async def clients(ws_url: str, people: Sequence[tuple[str, LatLng]]) -> AsyncIterator[Clients]:
    """Runs client processes until everybody is LIVE and the block ends."""
    count = -(-len(people) // SESSIONS_EACH)
    module = "bench.micro.first_offer.crowd"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, stdin=PIPE, stdout=PIPE, limit=64 << 20
        )
        for _ in range(count)
    ]
    try:
        opened = Clients(processes)
        await opened.begin(ws_url, people)
        yield opened
    finally:
        for process in processes:
            process.kill()
            await process.wait()
