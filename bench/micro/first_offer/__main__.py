"""Time from a funding's commit to the first card on a socket: `make bench-first-card`.

It decides whether the first wave has to ride in the transaction that starts its broadcast, or may be
looked for afterwards. Two services run one after the other on the same machine with the same
sessions, seed and tasks: ours, and `bench.micro.first_offer.peer`, which looks for hustlers after
the commit and inserts offers one by one.
Clocked from the commit, whose time the server keeps, to the arrival in a client's process; the
commit's flush to disk is part of it, and what a commit costs alone stands beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx
import numpy as np
import uvloop

from bench.micro.first_offer.clients import Arrivals, Clients, clients, merge
from bench.micro.first_offer.commits import Commits, commits, keep_commit_times
from bench.micro.first_offer.peer import GEO_KEY
from bench.micro.report import Row, print_report
from gateway.identity.minting import mint
from geo.points import LatLng
from geo.valkey import open_valkey

SEED: Final = 7
SESSIONS: Final = 2_000
P50_MS: Final = 2.0
P99_MS: Final = 10.0
MIDDLE: Final = LatLng(39.7392, -104.9903)
MILES_PER_DEGREE: Final = 69.0934
CITY_MILES: Final = 10.0
TASKS_MILES: Final = 5.0
QUIET_S: Final = 0.25
WARMING: Final = 3
"""Tasks before those that count."""


@dataclass
class Latencies:
    """Milliseconds from the commit, one entry per task; the cards of a task; a commit alone."""

    first_ms: list[float] = field(default_factory=list)
    last_ms: list[float] = field(default_factory=list)
    cards: list[int] = field(default_factory=list)
    commit_ms: float = 0.0


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
    await keep_commit_times(folder)
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
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def measure(module: str, sessions: int, tasks: int) -> Latencies:
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
                clients(running["ws_url"], people) as everybody,
                commits(running["postgres_owner_dsn"]) as committed,
                httpx.AsyncClient(base_url=running["url"], timeout=20) as rest,
            ):
                points = [at for _, at in people]
                await _feed_peer(running["redis_url"], everybody.ids, points)
                latencies = Latencies(commit_ms=await committed.alone_ms())
                for number, (poster, place) in enumerate(zip(posters, places, strict=True)):
                    scene = Scene(rest, poster, [everybody], committed)
                    at, (arrived,) = await scene.play(place)
                    if number >= WARMING and arrived is not None:
                        latencies.first_ms.append((arrived.first - at) * 1e3)
                        latencies.last_ms.append((arrived.last - at) * 1e3)
                        latencies.cards.append(arrived.cards)
                return latencies


@dataclass(frozen=True)
class Scene:
    """One task from its creation to its end."""

    rest: httpx.AsyncClient
    token: str
    crowds: Sequence[Clients]
    committed: Commits

    async def play(self, place: LatLng) -> tuple[float, list[Arrivals | None]]:
        """Returns when the funding was committed, and how its cards arrived at each crowd.

        None where nobody of a crowd is near.
        """
        task = await self._post("/v1/tasks", _draft(place))
        await self._post(f"/v1/tasks/{task['id']}/fund", {})
        arrived: list[dict[UUID, Arrivals]] = [{} for _ in self.crowds]
        while True:
            await asyncio.sleep(QUIET_S)
            found = [await crowd.arrivals() for crowd in self.crowds]
            for known, more in zip(arrived, found, strict=True):
                for each, arrivals in more.items():
                    merge(known, each, arrivals)
            if not any(found):
                break
        broadcast, at = await self.committed.funded_at(UUID(task["id"]))
        await self._post(f"/v1/tasks/{task['id']}/cancel", {})
        return at, [known.get(broadcast) for known in arrived]

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self.rest.post(path, json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()


def _draft(place: LatLng) -> dict[str, Any]:
    return {
        "mode": "LIVE",
        "title": "Carry a sofa",
        "description": "Two floors, no lift",
        "category": "moving",
        "price_cents": 6000,
        "location": {"lat": place.lat, "lng": place.lng},
        "live_confirmations": dict.fromkeys(("can_respond", "accessible_now", "price_final"), True),
    }


async def _feed_peer(redis_url: str, ids: list[UUID], points: list[LatLng]) -> None:
    """Writes the crowd's positions to the peer's GEO index, as its gateway would per heartbeat."""
    valkey = open_valkey(redis_url)
    for hustler, at in zip(ids, points, strict=True):
        await valkey.one(b"GEOADD", GEO_KEY, repr(at.lng), repr(at.lat), hustler.bytes)
    await valkey.close()


def _token(folder: Path, subject: str, role: Any) -> str:
    return mint(folder, subject=subject, role=role, name="Bench", now=time.time())


async def compare(sessions: int, tasks: int) -> list[bool]:
    """Measures our service, then the peer, prints the table and returns which targets were met."""
    ours = await measure("gateway.cli", sessions, tasks)
    peer = await measure("bench.micro.first_offer.peer", sessions, tasks)
    figures = (
        ("first card, p50", "first_ms", 50, f"≤ {P50_MS:g} ms"),
        ("first card, p99", "first_ms", 99, f"≤ {P99_MS:g} ms"),
        ("last card, p50", "last_ms", 50, ""),
    )
    rows = [
        Row(
            what,
            _percentile(getattr(ours, name), percent),
            _percentile(getattr(peer, name), percent),
            "ms",
            target,
        )
        for what, name, percent, target in figures
    ]
    alone = Row("a commit alone, p50", ours.commit_ms, peer.commit_ms, "ms")
    print_report(
        f"Commit → card on the socket: {sessions:,} sessions, {len(ours.first_ms)} tasks, "
        f"{np.mean(ours.cards):.0f} / {np.mean(peer.cards):.0f} cards each, seed {SEED}",
        [*rows, alone],
        peer="GEOSEARCH + INSERT one by one",
    )
    first, slow, _ = rows
    return [first.ours <= P50_MS, slow.ours <= P99_MS, first.ratio > 1.0]


def _percentile(values: list[float], percent: int) -> float:
    return float(np.percentile(values, percent))


def main() -> int:
    """Prints a report for each number of sessions; returns 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, nargs="+", default=[SESSIONS])
    parser.add_argument("--tasks", type=int, default=60)
    options = parser.parse_args()
    met: list[bool] = []
    for sessions in options.sessions:
        met += uvloop.run(compare(sessions, options.tasks))
    print(f"{sum(met)} of {len(met)} targets met")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
