"""What a WebSocket session costs, each figure beside its peers of the same run.

Run `make bench-gateway`. It decides whether the sessions may stay on uvicorn and `websockets`.
Times are CPU seconds of the server's own process, so that a busy machine tells much the same.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import platform
import sys
import tempfile
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import uvloop

from bench.gateway import peers
from bench.gateway.contender import Answer, Contender, running
from bench.gateway.sockets import PING, Socket, connect, connected, text_frame
from bench.micro.report import Target, print_targets

OURS: Final = (sys.executable, "-m", "bench.gateway.ours")
POSITION: Final = (
    b'{"type":"UPDATE_LOCATION","data":{"location":{"lat":37.774929,"lng":-122.419416,'
    b'"accuracy_m":8.0},"at":"2030-01-01T10:04:00.123456Z"}}'
)
SENDERS: Final = 500
"""Sockets that send positions, each one frame at a time."""
FANOUT: Final = 2_000
TURNS: Final = 3
"""How often each contender has its turn, one after the other; the cheapest counts."""
KIB: Final = 1024
STALL_S: Final = 12

Figures = dict[str, float]


async def heartbeat_cpu_s(server: Contender, sockets: Sequence[Socket], rounds: int) -> float:
    """Returns the CPU seconds of one message, from its frame to a checked message."""
    frame = text_frame(POSITION)
    before = await server.ask("count")
    expected = before["messages"]
    for _ in range(rounds):
        for socket in sockets:
            socket.transport.write(frame)
        expected += len(sockets)
        now = await server.ask("count")
        while now["messages"] < expected:
            await asyncio.sleep(0.01)  # a question costs CPU too
            now = await server.ask("count")
    return float(now["cpu_s"] - before["cpu_s"]) / (len(sockets) * rounds)


async def fanout(server: Contender, sockets: Sequence[Socket], word: str, rounds: int) -> float:
    """Returns the CPU seconds of one delivery."""
    each = 4 if word == "four" else 1
    answer = await server.ask(f"{word} {rounds}")
    await asyncio.sleep(0.2)  # the clients read
    return float(answer["cpu_s"]) / (len(sockets) * rounds * each)


async def measured_heartbeats(contenders: dict[str, Sequence[str]]) -> Figures:
    """Heartbeats of every contender that reads."""
    figures: Figures = {}
    for name, command in contenders.items():
        async with running(command) as server, connected(server.port, SENDERS) as sockets:
            await heartbeat_cpu_s(server, sockets, 5)
            figures[name] = min([await heartbeat_cpu_s(server, sockets, 20) for _ in range(TURNS)])
    return figures


async def measured_fanouts(contenders: dict[str, Sequence[str]]) -> Figures:
    """Deliveries of every contender; ours in three forms."""
    figures: Figures = {}
    for name, command in contenders.items():
        async with running(command) as server, connected(server.port, FANOUT) as sockets:
            words = ("same", "card", "four") if name == "ours" else ("same",)
            for word in words:
                await fanout(server, sockets, word, 2)
                figures[f"{name}: {word}"] = min(
                    [await fanout(server, sockets, word, 5) for _ in range(TURNS)]
                )
    return figures


async def measured_memory(sessions: int) -> tuple[float, float]:
    """Returns KiB of each idle session, and ms of the longest full collection until they are gone."""
    async with running(OURS) as server:
        process = psutil.Process(server.pid)
        async with connected(server.port, 200):
            pass
        before = process.memory_info().rss
        async with connected(server.port, sessions) as sockets:
            for socket in sockets:
                socket.transport.write(PING)
            await asyncio.sleep(1.0)
            kib = (process.memory_info().rss - before) / sessions / KIB
            await server.ask("card 3")
        pause = await server.ask("pause")
    print(f"\n{sessions:,} idle sessions; {pause['count']} full collections meanwhile")
    return kib, 1e3 * pause["pause_s"]


@dataclass
class Stall:
    """What one reader that has stopped costs."""

    held_kib: float
    gone_s: float
    slower: float
    """The others' p99 beside it, as a multiple of that without it."""


async def measured_stall() -> Stall:
    """Floods a hundred sockets, without and with one that reads nothing."""
    async with running(OURS) as server, connected(server.port, 100) as sockets:
        alone_s = await _pings_while(sockets, server.ask(f"flood {STALL_S}"))
        stalled = await connect(server.port, receive_buffer_bytes=8 * KIB)
        stalled.transport.pause_reading()
        flood = asyncio.ensure_future(server.ask(f"flood {STALL_S}"))
        beside_s = await _pings_while(sockets, flood)
        answer = flood.result()
        stalled.transport.abort()
    gone_s = answer["gone_s"] or math.inf
    return Stall(answer["held_bytes"] / KIB, gone_s, beside_s / alone_s)


async def _pings_while(sockets: Sequence[Socket], flood: Awaitable[Answer]) -> float:
    """Returns the p99 of the pings while the sockets are flooded, in seconds."""
    flooding, pings = asyncio.ensure_future(flood), list[float]()
    while not flooding.done():
        pings += await asyncio.gather(*(socket.ping() for socket in sockets[:10]))
        await asyncio.sleep(0.02)
    return sorted(pings)[len(pings) * 99 // 100]


def _print(title: str, figures: Figures) -> None:
    print(f"\n{title}")
    for name, seconds in sorted(figures.items(), key=lambda figure: figure[1]):
        print(f"  {name:<16} {1e6 * seconds:7.2f} µs {1 / seconds:10,.0f} a second and core")


async def run(sessions: int) -> int:
    """Measures everything, and prints it; returns 0 where all targets are met."""
    with tempfile.TemporaryDirectory() as folder:
        others = peers.commands(Path(folder))
        everyone = {"ours": OURS, **others}
        readers = {name: command for name, command in everyone.items() if name != "C send()"}
        heartbeats = await measured_heartbeats(readers)
        _print("A position, from its frame to a checked message (peers: to a text)", heartbeats)
        deliveries = await measured_fanouts(everyone)
        _print(f"A delivery of 491 bytes to one of {FANOUT:,} sockets", deliveries)
    kib, pause_ms = await measured_memory(sessions)
    stall = await measured_stall()
    floor = deliveries.get("C send(): same", math.nan)
    targets = [
        Target("Heartbeats per core", 1 / heartbeats["ours"], "/s", at_least=80_000),
        Target(
            "… of those of a bare uvicorn sink",
            heartbeats["uvicorn, ASGI"] / heartbeats["ours"], "×", at_least=1.0,
        ),
        *(
            Target(f"Fan-out, {what}, of a C loop", 100 * floor / deliveries[f"ours: {word}"],
                   "%", at_least=least)
            for what, word, least in (
                ("identical bytes", "same", 75),
                ("a card of its own", "card", 55),
                ("four of them at once", "four", 100),
            )
        ),
        Target("Memory of an idle session", kib, "KiB", at_most=16),
        Target(f"Longest full collection, {sessions:,} sessions", pause_ms, "ms", at_most=10),
        Target("Held for a reader that has stopped", stall.held_kib, "KiB", at_most=256),
        Target("… until it is gone", stall.gone_s, "s", at_most=10),
        Target("… p99 of the others beside it", stall.slower, "×", at_most=1.1),
    ]  # fmt: skip
    return print_targets(f"Sessions ({platform.processor() or platform.machine()})", targets)


def main() -> int:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=6_000)
    return uvloop.run(run(parser.parse_args().sessions))


if __name__ == "__main__":
    sys.exit(main())
