"""The matching core at full size: 100,000 hustlers × 10,000 broadcasts, real servers, one run.

Run `make bench-matching`. It decides whether one broadcaster carries a metro group.
Everything stands in one run: the market that settles from empty, ticks once it is settled, a churn of
broadcasts that end and begin, and the peers: GEOSEARCH in its forms, a cKDTree, a scalar scorer.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import numpy as np

from bench.matching import peers
from bench.matching.growth_chart import growth_svg, growth_table
from bench.matching.market import PLAN_S, Market
from bench.matching.process import BackendCpu, SubjectProcess, subject
from bench.matching.settled import Standing, standings
from bench.micro import scoring
from bench.micro.radius_query import load
from bench.micro.report import Target, print_targets
from deploy.embedded import Servers, embedded_servers
from geo.points import LatLng
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from sql.migrate import migrate

SEED: Final = 9
HUSTLERS: Final = 100_000
BROADCASTS: Final = 10_000
GROWTH: Final = ((1_000, 10_000, 100_000), (100, 1_000, 10_000))
CHURN_S: Final = 30
TICKS: Final = 9
CHECKED: Final = 100
PAGE: Final = Path(__file__).parents[2] / "docs"

Answer = dict[str, Any]


@dataclass
class Run:
    """One market, settled, and churned if that was asked for."""

    hustlers: int
    broadcasts: int
    settle: Answer
    ticks: Answer
    churn: Answer
    postgres_us: float
    """PostgreSQL's CPU for each offer, reading the roster included."""
    wrong: list[Standing]
    free_share: float

    @property
    def tick_ms(self) -> float:
        """Returns the CPU of a settled tick."""
        return float(statistics.median(self.ticks["cpu_ms"]))


class Bench:
    """The servers of a run, and the rows in them."""

    def __init__(self, servers: Servers, superuser: asyncpg.Connection) -> None:
        self._servers = servers
        self._superuser = superuser
        self.market = Market(superuser, np.random.default_rng(SEED))

    async def measure(
        self, hustlers: int, broadcasts: int, *, churn_s: int = 0, statistics_first: bool = False
    ) -> Run:
        """Settles an empty market of this size and returns the figures."""
        client = open_valkey(self._servers.redis_url)
        await client.one(b"FLUSHALL")
        await self.market.settle(hustlers)
        presence = Presence(client)
        await self.market.appear(presence)
        random = np.random.default_rng(SEED)
        ages_s = random.uniform(0, PLAN_S, broadcasts).tolist()
        running = await self.market.broadcasts(self.market.places(broadcasts), ages_s)
        if statistics_first:
            await self._superuser.execute("analyze")
        staying = asyncio.create_task(self.market.stay(presence))
        try:
            async with subject(self._servers.postgres_dsn, self._servers.redis_url) as process:
                return await self._measured(process, hustlers, running, churn_s)
        finally:
            staying.cancel()
            await asyncio.gather(staying, return_exceptions=True)
            await client.close()

    async def _measured(
        self, process: SubjectProcess, hustlers: int, running: list[UUID], churn_s: int
    ) -> Run:
        backends = BackendCpu()
        watching = asyncio.create_task(self._watch(backends))
        settle = await process.ask("settle")
        settled_at = await self._superuser.fetchval("select hx_clock()")
        watching.cancel()
        await self._read(backends)
        postgres_us = backends.seconds / max(settle["offers"], 1) * 1e6
        wrong = await self._wrong(settled_at)
        ticks = await process.ask(f"tick {TICKS}")
        churn: Answer = {}
        if churn_s:
            flow = asyncio.create_task(self._flow(running, churn_s))
            churn = await process.ask(f"churn {churn_s}")
            await flow
        free = await self._superuser.fetchval(
            "select count(*) from live_status as s where (select count(*) from offers as o"
            " inner join live_broadcasts as b on b.id = o.broadcast_id and b.state = 'ACTIVE'"
            " where o.hustler_id = s.user_id) < 10 and s.session_id is not null"
        )
        return Run(
            hustlers, len(running), settle, ticks, churn, postgres_us, wrong, free / hustlers
        )

    async def _wrong(self, settled_at: Any) -> list[Standing]:
        """Returns those of some hustlers who do not stand as brute force has it."""
        city = self.market.city
        rows = np.random.default_rng(SEED).integers(0, len(city.hustlers), CHECKED).tolist()
        some = [(city.hustlers[r], LatLng(float(city.lat[r]), float(city.lng[r]))) for r in rows]
        found = await standings(self._superuser, some, settled_at)
        return [one for one in found if one.has < one.should_have]

    async def _flow(self, running: list[UUID], seconds: int) -> None:
        """Ends the oldest broadcasts and begins as many, each second, as time would."""
        each = max(1, round(len(running) / PLAN_S))
        for _ in range(seconds - 1):
            await self.market.end([running.pop(0) for _ in range(min(each, len(running)))])
            running += await self.market.broadcasts(self.market.places(each), [0.0] * each)
            await asyncio.sleep(1.0)

    async def _watch(self, backends: BackendCpu) -> None:
        while True:
            await self._read(backends)
            await asyncio.sleep(1.0)

    async def _read(self, backends: BackendCpu) -> None:
        rows = await self._superuser.fetch(
            "select pid from pg_stat_activity where application_name = 'hustlexp'"
        )
        backends.read([row["pid"] for row in rows])

    async def peers(self, places: int) -> tuple[list[Target], list[str]]:
        """Returns the rows against other ways to find the same pairs."""
        rows, notes = [], []
        client = open_valkey(self._servers.redis_url)
        await client.one(b"FLUSHALL")
        await load(client, presence := Presence(client), self.market.city)
        around = self.market.places(places)
        for miles, times in ((3.0, 25.0), (10.0, 200.0)):
            join = peers.joins(self.market.city, around, miles)
            read_ms = await peers.read_everybody_ms(presence, around, miles)
            each_ms = (read_ms + join.tiles_ms) / places
            searches = await peers.geosearches_ms(client, around, miles)
            what = f"radius query in a tick, {miles:.0f} miles, × of GEOSEARCH with positions"
            rows.append(Target(what, searches["with positions"] / each_ms, "×", at_least=times))
            notes.append(
                f"{miles:.0f} miles: {join.pairs:,} pairs; read {read_ms:.0f} ms, join by tiles "
                f"{join.tiles_ms:.0f} ms, cKDTree rebuilt and queried {join.tree_ms:.0f} ms, "
                f"only counted {join.count_ms:.0f} ms; one GEOSEARCH "
                + ", ".join(f"{name} {ms:.2f} ms" for name, ms in searches.items())
            )
            if miles == 10.0:
                ahead = join.tree_ms / join.tiles_ms
                rows.append(Target("join, × of a cKDTree", ahead, "×", at_least=1.0))
        await client.close()
        return rows, notes


def targets(run: Run) -> list[Target]:
    """Returns the figures of the full size beside what design §10 asks of them."""
    late_ms = sorted(1e3 * late for late in run.churn["late_s"])
    jitter = late_ms[math.ceil(0.99 * len(late_ms)) - 1] if late_ms else math.nan
    blocks = run.churn["blocks_ms"]
    return [
        Target("CPU of a settled tick", run.tick_ms, "ms", at_most=300),
        Target("hustlers not settled, of 100 by brute force", len(run.wrong), "", at_most=0),
        Target("lateness of a ring, p99", jitter, "ms", at_most=100),
        Target("resident", run.churn["resident_mb"], "MB", at_most=300),
        Target("PostgreSQL's CPU for an offer", run.postgres_us, "µs", at_most=60),
        Target("longest block of the event loop", max(blocks, default=0.0), "ms", at_most=5),
        Target("failed rounds", len(run.churn["failures"]), "", at_most=0),
    ]


async def main(arguments: argparse.Namespace) -> int:
    """Runs everything; returns 0 where every target is met."""
    with tempfile.TemporaryDirectory(prefix="hx-bench-") as folder:
        async with embedded_servers(Path(folder)) as servers:
            await migrate(servers.postgres_owner_dsn)
            assert servers.postgres_superuser_dsn is not None
            superuser = await asyncpg.connect(
                servers.postgres_superuser_dsn, database="hustlexp", command_timeout=600
            )
            bench = Bench(servers, superuser)
            growth = [] if arguments.no_growth else await _growth(bench)
            fresh, old = [
                await bench.measure(10_000, 1_000, statistics_first=first)
                for first in (False, True)
            ]
            size = (arguments.hustlers, arguments.broadcasts)
            run = await bench.measure(*size, churn_s=arguments.churn_s)
            compared, notes = await bench.peers(arguments.broadcasts)
            await superuser.close()
    pairs_per_s, times_the_loop = scoring.rates()
    ratio = max(fresh.postgres_us, old.postgres_us) / min(fresh.postgres_us, old.postgres_us)
    rows = [
        *targets(run),
        Target("an offer without and with statistics, ratio", ratio, "×", at_most=1.5),
        *compared,
        Target("scoring", pairs_per_s / 1e6, "M pairs/s", at_least=15),
        Target("scoring, × of a scalar loop", times_the_loop, "×", at_least=15),
    ]
    _print_notes(run, fresh, old, notes)
    if growth:
        growth.append(run)
        print(growth_table(growth))
    if arguments.write:
        _write(growth)
    return print_targets(f"Matching: {size[0]:,} hustlers × {size[1]:,} broadcasts", rows)


async def _growth(bench: Bench) -> list[Run]:
    """Returns the smaller sizes, each settled from empty."""
    runs = []
    for hustlers in GROWTH[0]:
        for broadcasts in GROWTH[1]:
            if (hustlers, broadcasts) != (HUSTLERS, BROADCASTS):
                begun_s = time.monotonic()
                runs.append(await bench.measure(hustlers, broadcasts))
                took_s = time.monotonic() - begun_s
                print(f"  {hustlers:>7,} × {broadcasts:>6,} in {took_s:.0f} s", flush=True)
    return runs


def _print_notes(run: Run, fresh: Run, old: Run, notes: Sequence[str]) -> None:
    churn, late_ms = run.churn, sorted(1e3 * late for late in run.churn["late_s"])
    over = sum(block > 5.0 for block in churn["blocks_ms"])
    print(
        f"\nsettled from empty in {run.settle['seconds']:.0f} s: {run.settle['offers']:,} offers, "
        f"{run.settle['asked']:,} pairs asked, {run.settle['read']:,} hustlers read; "
        f"{run.free_share:.1%} have a free place"
        f"\nchurn: {churn['offers']:,} offers, {churn['cpu_share']:.0%} of a core, "
        f"{len(late_ms):,} rings, late p50 {statistics.median(late_ms) if late_ms else 0:.0f} ms; "
        f"{over} blocks over 5 ms"
        f"\n10,000 × 1,000: {fresh.postgres_us:.0f} µs an offer without statistics, "
        f"{old.postgres_us:.0f} µs with"
    )
    for note in notes:
        print(note)


def _write(growth: Sequence[Run]) -> None:
    machine = f"{platform.machine()}, 2 cores, CPython {platform.python_version()}"
    page = PAGE / "performance.md"
    text = page.read_text(encoding="utf-8")
    begin, end = "<!-- growth -->\n", "<!-- /growth -->\n"
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    dated = f"{datetime.now(UTC).date()}, {machine}.\n\n"
    page.write_text(head + begin + dated + growth_table(growth) + end + tail, encoding="utf-8")
    (PAGE / "performance.svg").write_text(growth_svg(growth), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--churn-s", type=int, default=CHURN_S, help="seconds of churn")
    parser.add_argument("--hustlers", type=int, default=HUSTLERS)
    parser.add_argument("--broadcasts", type=int, default=BROADCASTS)
    parser.add_argument("--no-growth", action="store_true", help="the full size alone")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and .svg")
    sys.exit(asyncio.run(main(parser.parse_args())))
