"""A reconnect storm and a burst of LIVE mode: `make bench-storm`.

It decides whether an outage ends in a second one. Everybody is connected, everybody is cut at once,
half of them miss events meanwhile, and all come back with `last_seq`, their tokens as old as after
hours; then all of them go LIVE at once. Counted are the seconds until the last is welcomed, the
events that the phones' own record lacks, what the service asks its database, and its processor time.
The peer is a plain `websockets` server that welcomes anybody, hit by the same phones.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg
import uvloop

from bench.micro.report import Row, Target, print_report, print_targets
from bench.storm.crowd import Done
from bench.storm.services import Cost, Crowds, Gateway, cost_of, cpu_s, crowds, gateways, program
from gateway.identity.auth import VERIFIED_FOR_S
from gateway.identity.minting import mint

SESSIONS: Final = 10_000
CROWDS: Final = 2
MISSED: Final = 3
"""Events that each of half the phones misses."""
IDLE_S: Final = 5.0
"""So long the service is watched beforehand, for what it asks by itself."""
SETTLES_S: Final = 3.0
_APPEND: Final = """
    select count(append_events((
        select jsonb_agg(hx_event(
            u.id, 'NUDGE', jsonb_build_object('kind', 'CHOICE', 'text', n::text, 'task_id', null)
        ))
        from generate_series(1, $1) as n
    )))
    from users as u
    where u.subject like 'storm-%' and right(u.subject, 1)::integer % 2 = 0
"""


@dataclass(frozen=True)
class Storm:
    """What came of it: a first connect, a resume and a burst of LIVE mode; what each cost."""

    first: Done
    resumed: Done
    live: Done
    resume_cost: Cost
    live_cost: Cost
    lost: int


async def storm(sessions: int) -> Storm:
    """Plays the storm against as many services as it needs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with gateways(folder, sessions) as (running, owner_dsn):
            tokens = [
                mint(folder, subject=f"storm-{n}", role="hustler", name="Bench", now=time.time())
                for n in range(sessions)
            ]
            ports = [urlsplit(gateway.url).port or 0 for gateway in running]
            owner = await asyncpg.connect(owner_dsn)
            async with crowds(CROWDS, ports, tokens) as phones:
                first = await phones.do("open")
                await asyncio.sleep(VERIFIED_FOR_S)  # nobody's token is remembered
                idle_per_s = await _idle(running)
                await phones.do("cut")
                await asyncio.sleep(SETTLES_S)
                appended = MISSED * await owner.fetchval(_APPEND, MISSED)
                await owner.execute("analyze")
                resumed, resume_cost = await _timed(phones, "open", running, idle_per_s)
                await asyncio.sleep(SETTLES_S)
                record = await phones.record()
                live, live_cost = await _timed(phones, "live", running, idle_per_s)
            await owner.close()
    lost = appended - record.events + record.gaps
    return Storm(first, resumed, live, resume_cost, live_cost, lost)


async def _idle(running: Sequence[Gateway]) -> float:
    """Returns the queries per second that the services make with everybody at rest."""
    before = await cost_of(running)
    await asyncio.sleep(IDLE_S)
    return (await cost_of(running)).since(before).queries / IDLE_S


async def _timed(
    phones: Crowds, verb: str, running: Sequence[Gateway], idle_per_s: float
) -> tuple[Done, Cost]:
    """Returns how a verb went, and what it cost beyond what the services do by themselves."""
    before = await cost_of(running)
    done = await phones.do(verb)
    cost = (await cost_of(running)).since(before)
    by_itself = idle_per_s * (done.ended - done.began)
    return done, Cost(max(0.0, cost.queries - by_itself), cost.cpu_s)


async def greeted(sessions: int) -> tuple[Done, float]:
    """Returns how the peer takes the same phones, and its processor seconds."""
    async with (
        program(["bench.storm.peer"]) as (process, port),
        crowds(CROWDS, [int(port)], ["nobody"] * sessions) as phones,
    ):
        await phones.do("open")
        await phones.do("cut")
        await asyncio.sleep(SETTLES_S)
        before = cpu_s(process.pid)
        done = await phones.do("open")
        return done, cpu_s(process.pid) - before


async def compare(sessions: int) -> int:
    """Runs both, prints the tables, returns 1 where a target was missed."""
    ours = await storm(sessions)
    peer, peer_cpu_s = await greeted(sessions)
    each = 1e3 / sessions
    print_report(
        f"{sessions:,} sessions at once",
        [
            Row("resume, until the last WELCOME", _took_s(ours.resumed), _took_s(peer), "s"),
            Row("processor time each", ours.resume_cost.cpu_s * each, peer_cpu_s * each, "ms"),
        ],
        peer="websockets, welcomes anybody",
    )
    print(
        f"first connect {_took_s(ours.first):.1f} s, refused meanwhile {ours.resumed.refused}; "
        f"LIVE mode {ours.live_cost.cpu_s * each:.2f} ms of processor time each"
    )
    per_100 = 100 / sessions
    return print_targets(
        "A reconnect storm",
        [
            Target("until all are welcomed", _took_s(ours.resumed), "s", at_most=10.0),
            Target("events lost", ours.lost, "", at_most=0),
            Target("queries per 100 resumes", ours.resume_cost.queries * per_100, "", at_most=1.0),
            Target("until all are LIVE", _took_s(ours.live), "s", at_most=10.0),
            Target("refused LIVE mode", ours.live.refused, "", at_most=0),
        ],
    )


def _took_s(done: Done) -> float:
    return done.ended - done.began


def main() -> int:
    """Parses the options and runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    return uvloop.run(compare(parser.parse_args().sessions))


if __name__ == "__main__":
    sys.exit(main())
