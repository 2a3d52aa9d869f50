"""Cards between processes: `make bench-processes`.

Three gateways, two broadcasters and a worker on one database; the posters fund on one gateway, half
of the hustlers have their sockets there, the others on the two that hear of it over the bus.
Clocked from the commit of the funding; local and foreign cards are of the same tasks.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import numpy as np
import uvloop

from bench.micro.first_offer.__main__ import (
    CITY_MILES,
    SEED,
    TASKS_MILES,
    WARMING,
    Scene,
    _token,
    scattered,
    service,
)
from bench.micro.first_offer.clients import clients
from bench.micro.first_offer.commits import commits
from bench.micro.report import Target, print_targets

RATIO: Final = 1.2
SLACK_MS: Final = 2.0
HUSTLERS: Final = 3_000
TASKS: Final = 60


@asynccontextmanager
async def beside(running: dict[str, str], folder: Path, role: str) -> AsyncIterator[dict[str, Any]]:
    """Runs one more process on the servers of a running service; yields its `serving` record."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.cli", "serve", "--role", role,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ
        | {
            "HX_DEVELOPMENT": "true",
            "HX_DATA_DIR": str(folder),
            "HX_PORT": "0",
            "HX_POSTGRES_DSN": running["postgres_dsn"],
            "HX_REDIS_URL": running["redis_url"],
        },
    )  # fmt: skip
    assert process.stderr is not None
    drained: asyncio.Task[bytes] | None = None
    try:
        while line := await process.stderr.readline():
            record = json.loads(line)
            if record["event"] == "serving":
                drained = asyncio.create_task(process.stderr.read())
                yield record
                return
        raise RuntimeError(f"a {role} did not start")
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        if drained is not None:
            await drained


async def measure(hustlers: int, tasks: int) -> list[Target]:
    """Returns the figures beside their targets."""
    rng = np.random.default_rng(SEED)
    first_ms: tuple[list[float], list[float]] = ([], [])
    cards, doubled = 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with AsyncExitStack() as stack:
            running = await stack.enter_async_context(service("gateway.cli", folder))
            others = [
                await stack.enter_async_context(beside(running, folder, role))
                for role in ("gateway", "gateway", "broadcaster", "worker")
            ]
            foreign = [other["url"].replace("http", "ws") + "/ws" for other in others[:2]]
            people = [
                (_token(folder, f"hustler-{n}", "hustler"), at)
                for n, at in enumerate(scattered(rng, hustlers, CITY_MILES))
            ]
            shares = (
                people[: hustlers // 2],
                people[hustlers // 2 :: 2],
                people[hustlers // 2 + 1 :: 2],
            )
            urls = (running["ws_url"], *foreign)
            crowds = [
                await stack.enter_async_context(clients(url, share))
                for url, share in zip(urls, shares, strict=True)
            ]
            committed = await stack.enter_async_context(commits(running["postgres_owner_dsn"]))
            owner = await asyncpg.connect(running["postgres_owner_dsn"])
            stack.push_async_callback(owner.close)
            rest = await stack.enter_async_context(
                httpx.AsyncClient(base_url=running["url"], timeout=20)
            )
            for number, place in enumerate(scattered(rng, tasks, TASKS_MILES)):
                poster = _token(folder, f"poster-{number}", "poster")
                at, arrived = await Scene(rest, poster, crowds, committed).play(place)
                offers = await owner.fetchval(
                    "select count(*) from offers where broadcast_id ="
                    " (select id from live_broadcasts order by started_at desc limit 1)"
                )
                shown = sum(each.cards for each in arrived if each is not None)
                cards, doubled = cards + offers, doubled + abs(shown - offers)
                if number < WARMING:
                    continue
                for where, each in enumerate(arrived):
                    if each is not None:
                        first_ms[min(where, 1)].append((each.first - at) * 1e3)
    local, remote = (np.percentile(found, (50, 99)) for found in first_ms)
    print(
        f"first card here p50 {local[0]:.2f} ms, p99 {local[1]:.2f} ms; elsewhere p50 "
        f"{remote[0]:.2f} ms, p99 {remote[1]:.2f} ms; {cards:,} cards"
    )
    return [
        Target(
            "first card on a foreign gateway, p99",
            float(remote[1]),
            "ms",
            at_most=round(RATIO * float(local[1]) + SLACK_MS, 2),
        ),
        Target("cards that did not come once", doubled, "", at_most=0),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hustlers", type=int, default=HUSTLERS)
    parser.add_argument("--tasks", type=int, default=TASKS)
    arguments = parser.parse_args()
    targets = uvloop.run(measure(arguments.hustlers, arguments.tasks))
    sys.exit(print_targets(f"Processes: {arguments.hustlers:,} hustlers", targets))
