"""A process full of phones, told by lines of JSON what to do: `python -m bench.storm.crowd`.

The first line says whom to be. Each line after it is a verb, answered by one line when it is done:
`open` (everybody connects and is welcomed), `cut` (all sockets at once), `live` (everybody asks for
LIVE mode at once), `record` (what the phones have read).
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import time
from collections import deque
from typing import Final

import msgspec
import uvloop

from bench.storm.phone import Phone

AT_ONCE: Final = 800
"""Handshakes under way from one process at a time, as from a proxy in front of the service."""
ANSWER_WITHIN_S: Final = 30.0
RETRY_S: Final = 0.2
"""A refused phone comes back after about so long."""
PING_EVERY_S: Final = 20.0
SLICES: Final = 200


class Asked(msgspec.Struct, frozen=True):
    """Whom a crowd is to be, and where it connects."""

    host: str
    port: int
    first_number: int
    tokens: list[str]


class Done(msgspec.Struct, frozen=True):
    """How a verb went: Unix times of its begin and its last answer, and who was refused meanwhile."""

    began: float
    ended: float
    refused: int = 0


class Record(msgspec.Struct, frozen=True):
    """What all phones have read: events in their order, and what was not."""

    events: int
    gaps: int


class Crowd:
    """The phones of one process."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._phones = [Phone(asked.first_number + n, t) for n, t in enumerate(asked.tokens)]
        self._loop = asyncio.get_running_loop()

    async def open(self) -> Done:
        """Connects everybody; whoever is refused comes back until welcomed."""
        began, refused = time.time(), 0
        waiting = deque(self._phones)

        async def connect() -> None:
            nonlocal refused
            while waiting:
                phone = waiting.popleft()
                while not await self._welcomed(phone):
                    refused += 1
                    await asyncio.sleep(RETRY_S * random.uniform(0.5, 1.5))

        await asyncio.gather(*(connect() for _ in range(AT_ONCE)))
        return Done(began, time.time(), refused)

    async def _welcomed(self, phone: Phone) -> bool:
        phone.answer = answer = self._loop.create_future()
        try:
            await self._loop.create_connection(lambda: phone, self._asked.host, self._asked.port)
            return await asyncio.wait_for(answer, ANSWER_WITHIN_S)
        except OSError:
            return False
        except TimeoutError:
            phone.cut()
            return False

    async def cut(self) -> Done:
        """Drops every connection."""
        began = time.time()
        for phone in self._phones:
            phone.answer = None
            phone.cut()
        return Done(began, time.time())

    async def live(self) -> Done:
        """Asks for LIVE mode on every socket at once; counts those whom the service refuses."""
        began = time.time()
        answers = []
        for phone in self._phones:
            phone.answer = self._loop.create_future()
            answers.append(phone.answer)
            at = random.Random(phone.number)
            place = {"lat": 39.6 + at.random() / 5, "lng": -105.1 + at.random() / 5}
            phone.say("SUBSCRIBE_LIVE_MODE", {"location": place | {"accuracy_m": 10}})
        came = await asyncio.gather(*answers)
        return Done(began, time.time(), came.count(False))

    async def record(self) -> Record:
        """Returns what was read."""
        return Record(sum(p.events for p in self._phones), sum(p.gaps for p in self._phones))

    async def ping(self) -> None:
        """Keeps every socket alive, a few at a time, until cancelled."""
        while True:
            for n in range(SLICES):
                for phone in self._phones[n::SLICES]:
                    phone.ping()
                await asyncio.sleep(PING_EVERY_S / SLICES)


async def _be() -> None:
    lines = asyncio.StreamReader(limit=64 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    crowd = Crowd(msgspec.json.decode(await lines.readline(), type=Asked))
    gc.freeze()
    gc.disable()  # a full collection of so many sockets would be counted as the service's delay
    verbs = {"open": crowd.open, "cut": crowd.cut, "live": crowd.live, "record": crowd.record}
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.ping())
        while verb := (await lines.readline()).decode().strip():
            done = await verbs[verb]()
            print(msgspec.json.encode(done).decode(), flush=True)
        os._exit(0)  # a goodbye on each of thousands of sockets would take minutes


if __name__ == "__main__":
    uvloop.run(_be())
