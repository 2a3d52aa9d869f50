"""The services that a storm hits, the crowds that make it, and what it costs the services."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import httpx
import msgspec

from bench.storm.crowd import Asked, Done, Record

SOCKETS_EACH: Final = 17_000
"""Sessions of one service at most: a process has 20,000 file descriptors (MAX_SOCKETS)."""
TRUSTS_CLIENTS: Final = {"HX_TRUSTED_PROXIES": "127.0.0.1"}
"""The crowds stand for a proxy: each phone has an address of its own."""
_QUERIES: Final = re.compile(r"^hustlexp_database_wait_seconds_count (\S+)$", re.MULTILINE)

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Gateway:
    """A running service."""

    url: str
    pid: int

    async def cost(self) -> Cost:
        """Returns what it has spent so far."""
        async with httpx.AsyncClient(timeout=30) as http:
            page = (await http.get(f"{self.url}/metrics")).text
        (queries,) = _QUERIES.findall(page)
        return Cost(float(queries), cpu_s(self.pid))


@dataclass(frozen=True)
class Cost:
    """Queries made, and seconds of processor time."""

    queries: float
    cpu_s: float

    def since(self, before: Cost) -> Cost:
        """Returns what was spent between two looks."""
        return Cost(self.queries - before.queries, self.cpu_s - before.cpu_s)


def cpu_s(pid: int) -> float:
    """Returns the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def cost_of(gateways: Sequence[Gateway]) -> Cost:
    """Returns what all of them have spent together."""
    costs = [await gateway.cost() for gateway in gateways]
    return Cost(sum(c.queries for c in costs), sum(c.cpu_s for c in costs))


@asynccontextmanager
async def gateways(folder: Path, sessions: int) -> AsyncIterator[tuple[list[Gateway], str]]:
    """Runs as many services on one database as so many sessions need; yields the owner's DSN too."""
    async with AsyncExitStack() as stack:
        first, line = await stack.enter_async_context(
            program(
                ["gateway.cli", "dev", "--json", "--port", "0", "--data-dir", str(folder)],
                TRUSTS_CLIENTS,
            )
        )
        running = json.loads(line)
        found = [Gateway(running["url"], first.pid)]
        for _ in range(sessions // SOCKETS_EACH):
            port = _free_port()
            more = {
                "HX_POSTGRES_DSN": running["postgres_dsn"],
                "HX_REDIS_URL": running["redis_url"],
                "HX_DATA_DIR": str(folder),
                "HX_DEVELOPMENT": "true",
                "HX_PORT": str(port),
                "HX_LOG_LEVEL": "warning",
            }
            process, _ = await stack.enter_async_context(
                program(["gateway.cli", "serve"], TRUSTS_CLIENTS | more, waits=False)
            )
            found.append(Gateway(f"http://127.0.0.1:{port}", process.pid))
            await _until_ready(found[-1].url)
        yield found, running["postgres_owner_dsn"]


class Crowds:
    """The client processes, told together."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    async def be(self, ports: Sequence[int], tokens: Sequence[str]) -> None:
        """Gives each process its share of the phones, and a service to connect to."""
        count = len(self._processes)
        for n, process in enumerate(self._processes):
            share = list(tokens[n::count])
            asked = Asked("127.0.0.1", ports[n % len(ports)], n << 20, share)
            _write(process, msgspec.json.encode(asked))

    async def do(self, verb: str) -> Done:
        """Tells all of them; returns from the first begin to the last answer."""
        done = await self._answers(verb, Done)
        return Done(
            min(d.began for d in done), max(d.ended for d in done), sum(d.refused for d in done)
        )

    async def record(self) -> Record:
        """Returns what all phones have read."""
        records = await self._answers("record", Record)
        return Record(sum(r.events for r in records), sum(r.gaps for r in records))

    async def _answers(self, verb: str, shape: type[Answer]) -> list[Answer]:
        for process in self._processes:
            _write(process, verb.encode())
        lines = await asyncio.gather(*(_line(process) for process in self._processes))
        return [msgspec.json.decode(line, type=shape) for line in lines]


@asynccontextmanager
async def crowds(count: int, ports: Sequence[int], tokens: Sequence[str]) -> AsyncIterator[Crowds]:
    """Runs client processes while the block runs."""
    async with AsyncExitStack() as stack:
        opened = Crowds(
            [
                (await stack.enter_async_context(program(["bench.storm.crowd"], waits=False)))[0]
                for _ in range(count)
            ]
        )
        await opened.be(ports, tokens)
        yield opened


@asynccontextmanager
async def program(
    module: Sequence[str], more: dict[str, str] | None = None, *, waits: bool = True
) -> AsyncIterator[tuple[Process, bytes]]:
    """Runs a module until the block ends; with `waits` yields its first line too."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module, stdin=PIPE, stdout=PIPE, limit=64 << 20,
        env=os.environ | (more or {}),
    )  # fmt: skip
    try:
        yield process, await _line(process) if waits else b""
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _write(process: Process, line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line + b"\n")


async def _line(process: Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"process {process.pid} has died")
    return line


async def _until_ready(url: str) -> None:
    async with httpx.AsyncClient(timeout=5) as http, asyncio.timeout(60):
        while True:
            try:
                if (await http.get(f"{url}/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
