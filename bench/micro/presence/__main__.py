"""Presence: what a heartbeat costs, against the previous way and GEOADD, on one server in one run.

    make bench-presence        python -m bench.micro.presence

100,000 hustlers around ten metros, seeded; batches of 1,000 as the gateway writes them; medians of
rounds in turn. Server CPU is that of its main thread, system calls included; ours is the process's.
"In place, again" is a heartbeat within 5 s of the one before; "in place, later" enters the index by
time as well, as every one does that comes after 30 s.
It decides whether the heartbeat's diet is worth its script, and when one Valkey core is full.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np
import uvloop

from bench.micro.presence.previous import PreviousWay
from bench.micro.presence.whole_path import WholePath
from bench.micro.radius_query import City, server_cpu_s, settle_city
from bench.micro.report import Row, print_report
from deploy.embedded import embedded_servers
from geo.cells import cell_of, cover
from geo.points import LatLng
from geo.presence.presence import CellSlot, Heartbeat, Presence
from geo.units import metres
from geo.valkey import Valkey, open_valkey

HUSTLERS: Final = 100_000
ROUNDS: Final = 7
SEED: Final = 28
BATCH: Final = 1_000
GEO_KEY: Final = b"bench:geo"
INDEX_AFTER_S: Final = 5.1
SERVER_TARGET_US: Final = 5.0

AGAIN: Final = "in place, again"
LATER: Final = "in place, later"
PREVIOUS: Final = "previous way"
GEOADD: Final = "GEOADD"


@dataclass
class Cost:
    """What operations of one kind cost, each list a figure per heartbeat and round."""

    server_us: list[float] = field(default_factory=list)
    client_us: list[float] = field(default_factory=list)
    wire_bytes: list[float] = field(default_factory=list)


class Comparison:
    """The same people in three structures of one server, and what was measured on them."""

    def __init__(self, client: Valkey, city: City) -> None:
        self._client = client
        self._presence = Presence(client)
        self._previous = PreviousWay(client)
        rows = zip(city.hustlers, city.lat.tolist(), city.lng.tolist(), strict=True)
        self._people: list[tuple[UUID, LatLng]] = [(who, LatLng(*at)) for who, *at in rows]
        self._cells = [cell_of(point) for _, point in self._people]
        self._kept: list[CellSlot | None] = []
        self._seq = 1
        self.costs: defaultdict[str, Cost] = defaultdict(Cost)
        self.memory_bytes: dict[str, float] = {}

    async def load(self) -> None:
        """Writes everybody to all structures, and measures the memory of each."""

        async def ours() -> None:
            self._kept = await self._presence.write(
                [Heartbeat(who, point, 1, 1) for who, point in self._people]
            )

        async def previous() -> None:
            await self._previous.write(self._people, self._cells, 1)

        everybody = slice(0, len(self._people))
        for name, write in (
            (AGAIN, ours),
            (PREVIOUS, previous),
            (GEOADD, lambda: self._geoadd(everybody)),
        ):
            before = await self._info(b"memory", "used_memory")
            await write()
            grown = await self._info(b"memory", "used_memory") - before
            self.memory_bytes[name] = grown / len(self._people)

    async def round(self, rows: slice) -> None:
        """Measures one heartbeat of each of these hustlers, in each way."""
        self._seq += 1
        people, cells = self._people[rows], self._cells[rows]
        seq = self._seq
        await self._measured(LATER, len(people), lambda: self._heartbeats(rows, seq))
        await self._measured(AGAIN, len(people), lambda: self._heartbeats(rows, seq + 1))
        await self._measured(
            PREVIOUS, len(people), lambda: self._previous.write(people, cells, seq)
        )
        await self._measured(GEOADD, len(people), lambda: self._geoadd(rows))
        self._seq += 1

    async def whole_path(self, rows: slice, rounds: int) -> float:
        """Returns microseconds of CPU here, per heartbeat, from frame to Valkey."""
        path = WholePath(self._presence, self._people[rows])
        await path.run()
        spent = []
        for _ in range(rounds):
            before = time.process_time()
            await path.run()
            spent.append((time.process_time() - before) / (rows.stop - rows.start) * 1e6)
        return float(statistics.median(spent))

    async def read_ms(self, rounds: int) -> tuple[float, float, int]:
        """Returns CPU here, of the server, and rows found, of one read of all covered cells."""
        every = max(1, len(self._people) // 3_000)
        covers = [cover(point, metres(10)) for _, point in self._people[::every]]
        cells = np.unique(np.concatenate(covers))
        here, server, found = [], [], 0
        for _ in range(rounds + 1):
            at_server, at = await server_cpu_s(self._client), time.process_time()
            found = len(await self._presence.within(cells))
            here.append((time.process_time() - at) * 1e3)
            server.append((await server_cpu_s(self._client) - at_server) * 1e3)
        return statistics.median(here[1:]), statistics.median(server[1:]), found

    async def _heartbeats(self, rows: slice, seq: int) -> None:
        """Writes in batches, as the gateway does."""
        for start in range(rows.start, rows.stop, BATCH):
            part = slice(start, min(start + BATCH, rows.stop))
            heartbeats = [
                Heartbeat(who, point, 1, seq, slot)
                for (who, point), slot in zip(self._people[part], self._kept[part], strict=True)
            ]
            self._kept[part] = await self._presence.write(heartbeats)

    async def _geoadd(self, rows: slice) -> None:
        for start in range(rows.start, rows.stop, BATCH):
            part = self._people[start : min(start + BATCH, rows.stop)]
            words = [
                word
                for who, point in part
                for word in (repr(point.lng), repr(point.lat), who.bytes)
            ]
            await self._client.one(b"GEOADD", GEO_KEY, *words)

    async def _measured(self, name: str, count: int, work: Callable[[], Awaitable[None]]) -> None:
        cost, client = self.costs[name], self._client
        wire = await self._wire_bytes()
        server, here = await server_cpu_s(client), time.process_time()
        await work()
        cost.client_us.append((time.process_time() - here) / count * 1e6)
        cost.server_us.append((await server_cpu_s(client) - server) / count * 1e6)
        cost.wire_bytes.append((await self._wire_bytes() - wire) / count)

    async def _wire_bytes(self) -> float:
        read = await self._info(b"stats", "total_net_input_bytes")
        return read + await self._info(b"stats", "total_net_output_bytes")

    async def _info(self, section: bytes, name: str) -> float:
        info: bytes = await self._client.one(b"INFO", section)
        lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
        return float(lines[name])


def rows_of(comparison: Comparison, peer: str) -> list[Row]:
    """Returns the figures beside those of one peer."""
    costs, memory = comparison.costs, comparison.memory_bytes
    theirs, median = costs[peer], statistics.median
    rows = [
        Row(
            f"server CPU, {name}",
            median(costs[name].server_us),
            median(theirs.server_us),
            "µs",
            target=f"≤ {SERVER_TARGET_US:g} µs" if name == AGAIN else "",
        )
        for name in (AGAIN, LATER)
    ]
    again = costs[AGAIN]
    rows += [
        Row("our CPU", median(again.client_us), median(theirs.client_us), "µs"),
        Row("bytes on the wire", median(again.wire_bytes), median(theirs.wire_bytes), "B"),
        Row("memory per hustler", memory[AGAIN], memory[peer], "B"),
    ]
    return rows


async def compare(client: Valkey, hustlers: int, rounds: int) -> int:
    """Loads, measures in turns and prints; returns how many targets were missed."""
    comparison = Comparison(client, settle_city(np.random.default_rng(SEED), hustlers))
    await comparison.load()
    await asyncio.sleep(INDEX_AFTER_S)
    size = hustlers // rounds
    for number in range(rounds):
        await comparison.round(slice(number * size, (number + 1) * size))
    title = f"A heartbeat, {hustlers:,} hustlers, median of {rounds} × {size:,}, seed {SEED}"
    for peer in (PREVIOUS, GEOADD):
        print_report(title, rows_of(comparison, peer), peer=peer)
    path_us = await comparison.whole_path(slice(0, size), rounds)
    here_ms, server_ms, found = await comparison.read_ms(rounds)
    print(
        f"From a frame's text to Valkey, judged and checked: {path_us:.1f} µs of CPU here,"
        f" {1e6 / path_us:,.0f} heartbeats/s per core"
        f"\nA read of everybody, {found:,} found: {here_ms:.0f} ms of CPU here,"
        f" {server_ms:.0f} ms of the server"
        "\nA heartbeat that stays costs the server one read and one write of a hash; it is what a"
        "\nhustler on the road sends every few seconds, so it decides when one Valkey core is full."
    )
    met = statistics.median(comparison.costs[AGAIN].server_us) <= SERVER_TARGET_US
    print(f"{int(met)} of 1 targets met")
    return 1 - int(met)


async def run(hustlers: int, rounds: int) -> None:
    """Runs the comparison on HX_REDIS_URL (an empty database of it) or the embedded server."""
    url = os.environ.get("HX_REDIS_URL")
    with tempfile.TemporaryDirectory(prefix="hx-bench-") as folder:
        # Any DSN means: PostgreSQL is not needed here.
        async with embedded_servers(Path(folder), postgres_dsn="none", redis_url=url) as servers:
            client = open_valkey(servers.redis_url)
            if await client.one(b"DBSIZE"):
                raise SystemExit("this database is not empty; name another in HX_REDIS_URL")
            try:
                await compare(client, hustlers, rounds)
            finally:
                await client.one(b"FLUSHDB")
                await client.close()


def main() -> None:
    """Reads the command line and runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hustlers", type=int, default=HUSTLERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    uvloop.run(run(arguments.hustlers, arguments.rounds))


if __name__ == "__main__":
    main()
