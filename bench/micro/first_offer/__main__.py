"""Time from funding to the first offer on a socket: `python -m bench.micro.first_offer`.

It decides whether a wave may be evaluated as a whole (one query for all results, one score, one
insert) or whether offers must go out one by one to be early. Two services run one after the other
on the same machine with the same 2,000 sockets, seed and tasks: ours, and
`bench.micro.first_offer.peer`.
Clocked from the broadcast's `started_at`, which the database sets inside the funding transaction,
to the arrival at a client's socket; both clocks are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import numpy as np
import uvloop

from bench.micro.first_offer.crowd import Crowd, crowd
from bench.micro.first_offer.peer import GEO_KEY
from bench.micro.report import Row, print_report
from gateway.identity.minting import mint
from geo.points import LatLng
from geo.valkey import open_valkey

SEED: Final = 7
MIDDLE: Final = LatLng(39.7392, -104.9903)
MILES_PER_DEGREE: Final = 69.0934
CITY_MILES: Final = 10.0
TASKS_MILES: Final = 5.0
QUIET_S: Final = 0.25
PING_EVERY_S: Final = 15.0


@dataclass
class DbMetrics:
    """Milliseconds from funded, one entry per task, and the number of cards a task made."""

    first_ms: list[float] = field(default_factory=list)
    last_ms: list[float] = field(default_factory=list)
    cards: list[int] = field(default_factory=list)


def scattered(rng: np.random.Generator, count: int, within_miles: float) -> list[LatLng]:
    """Returns points spread evenly over a disc."""
    miles = within_miles * np.sqrt(rng.random(count))
    angle = rng.random(count) * 2 * np.pi
    north = miles * np.cos(angle) / MILES_PER_DEGREE
    east = miles * np.sin(angle) / (MILES_PER_DEGREE * np.cos(np.radians(MIDDLE.lat)))
    return [
        LatLng(MIDDLE.lat + n, MIDDLE.lng + e)
        for n, e in zip(north.tolist(), east.tolist(), strict=True)
    ]


@asynccontextmanager
async def service(module: str, folder: Path) -> AsyncIterator[dict[str, str]]:
    """Runs one of the two services by `dev --json`; yields what it printed when it was ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, "dev", "--json", "--port", "0", "--data-dir", str(folder),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"HX_DATA_DIR": str(folder)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start")
        yield json.loads(line)
    finally:
        process.terminate()
        await process.wait()


async def measure(module: str, sessions: int, tasks: int) -> DbMetrics:
    """Runs one service with the crowd, funds the tasks in turn and returns the latencies."""
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as folder:
        async with service(module, Path(folder)) as running:
            people = [
                (_token(Path(folder), f"hustler-{n}", "hustler"), at)
                for n, at in enumerate(scattered(rng, sessions, CITY_MILES))
            ]
            posters = [_token(Path(folder), f"poster-{n}", "poster") for n in range(tasks)]
            places = scattered(rng, tasks, TASKS_MILES)
            async with (
                crowd(running["ws_url"], people) as everybody,
                httpx.AsyncClient(base_url=running["url"], timeout=20) as client,
            ):
                await _feed_peer(running["redis_url"], everybody)
                measured = DbMetrics()
                pinged_s = time.monotonic()
                for poster, place in zip(posters, places, strict=True):
                    if time.monotonic() - pinged_s > PING_EVERY_S:
                        await everybody.ping()
                        pinged_s = time.monotonic()
                    await _one_task(client, poster, place, everybody, measured)
                return measured


async def _one_task(
    client: httpx.AsyncClient, token: str, place: LatLng, everybody: Crowd, measured: DbMetrics
) -> None:
    async def call(path: str, body: dict[str, Any]) -> Any:
        answer = await client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        return answer.json()

    confirmations = dict.fromkeys(("can_respond", "accessible_now", "price_final"), True)
    task = await call(
        "/v1/tasks",
        {
            "mode": "LIVE",
            "title": "Carry a sofa",
            "description": "Two floors, no lift",
            "category": "moving",
            "price_cents": 6000,
            "location": {"lat": place.lat, "lng": place.lng},
            "live_confirmations": confirmations,
        },
    )
    await call(f"/v1/tasks/{task['id']}/fund", {})
    while True:
        seen = sum(map(len, everybody.arrivals.values()))
        await asyncio.sleep(QUIET_S)
        if sum(map(len, everybody.arrivals.values())) == seen:
            break
    cancelled = await call(f"/v1/tasks/{task['id']}/cancel", {})
    broadcast = cancelled["broadcast"]
    arrivals = everybody.arrivals.pop(UUID(broadcast["id"]), [])
    if arrivals:
        started = datetime.fromisoformat(broadcast["started_at"]).timestamp()
        measured.first_ms.append((min(arrivals) - started) * 1e3)
        measured.last_ms.append((max(arrivals) - started) * 1e3)
    measured.cards.append(len(arrivals))


async def _feed_peer(redis_url: str, everybody: Crowd) -> None:
    """Writes the crowd's positions to the peer's GEO index, as its gateway would per heartbeat."""
    valkey = open_valkey(redis_url)
    for member in everybody.members:
        where = (repr(member.at.lng), repr(member.at.lat))
        await valkey.one(b"GEOADD", GEO_KEY, *where, member.user_id.bytes)
    await valkey.close()


def _token(folder: Path, subject: str, role: Any) -> str:
    return mint(folder, subject=subject, role=role, name="Bench", now=time.time())


async def compare(sessions: int, tasks: int) -> None:
    """Measures our service, then the peer, and prints the table."""
    ours = await measure("gateway.cli", sessions, tasks)
    peer = await measure("bench.micro.first_offer.peer", sessions, tasks)
    figures = (
        ("first card", "first_ms", 50, "≤ 10 ms"),
        ("first card", "first_ms", 99, "≤ 50 ms"),
        ("last card of the wave", "last_ms", 50, ""),
        ("last card of the wave", "last_ms", 99, ""),
    )
    rows = [
        Row(
            f"{what}, p{percent}",
            _percentile(getattr(ours, name), percent),
            _percentile(getattr(peer, name), percent),
            "ms",
            target,
        )
        for what, name, percent, target in figures
    ]
    print_report(
        f"Funded → offer on the socket: {sessions:,} sessions, {tasks} tasks, "
        f"{np.mean(ours.cards):.0f} / {np.mean(peer.cards):.0f} cards each, seed {SEED}",
        rows,
        peer="GEOSEARCH + INSERT one by one",
    )


def _percentile(values: list[float], percent: int) -> float:
    return float(np.percentile(values, percent))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=2_000)
    parser.add_argument("--tasks", type=int, default=60)
    options = parser.parse_args()
    uvloop.run(compare(options.sessions, options.tasks))
