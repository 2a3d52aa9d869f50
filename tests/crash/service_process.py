"""`hustlexp dev` as a process, and three parts of it to kill with -9, or to stop for a while."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Literal, Self

import asyncpg
import httpx
import psutil
import redis

Victim = Literal["service", "gateway", "broadcaster", "worker", "postgres", "valkey"]
READY_S = 60.0


class ServiceProcess:
    """A service of its own in `folder`; restarted there when it was killed.

    With `workers` it is so many gateways, a broadcaster and a worker, which its parent starts again.
    """

    def __init__(self, folder: Path, workers: int | None = None) -> None:
        self._folder = folder
        self._workers = workers
        self._process: Process | None = None
        self._port = _free_port()
        self.urls: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self._process.wait(), 20)

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None
        return self._process.pid

    async def tokens(self, role: str, count: int) -> list[dict[str, str]]:
        """What `hustlexp token --json --count` prints."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", "token", "--role", role, "--json",
            "--count", str(count), "--data-dir", str(self._folder), stdout=PIPE,
        )  # fmt: skip
        text, _ = await process.communicate()
        return [json.loads(line) for line in text.splitlines()]

    async def kill(self, victim: Victim) -> None:
        """SIGKILL; a killed service is started again, the servers come back by themselves."""
        if victim == "postgres":
            os.kill(self._postmaster_pid(), signal.SIGKILL)
        elif victim == "valkey":
            os.kill(await self._valkey_pid(), signal.SIGKILL)
        elif victim == "service":
            assert self._process is not None
            self._process.kill()
            await self._process.wait()
            await self._start()
        else:
            self._part(victim).kill()

    async def pause(self, victim: Victim, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long; of PostgreSQL the backends too."""
        if victim == "postgres":
            postmaster = psutil.Process(self._postmaster_pid())
            stopped = [postmaster, *postmaster.children(recursive=True)]
        elif victim == "service":
            stopped = [psutil.Process(self.pid)]
        elif victim == "valkey":
            stopped = [psutil.Process(await self._valkey_pid())]
        else:
            stopped = [self._part(victim)]
        for process in stopped:
            _signal(process, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            for process in stopped:
                _signal(process, signal.SIGCONT)

    async def ready(self) -> bool:
        """Whether the service says that traffic may come."""
        async with httpx.AsyncClient(base_url=self.urls["url"], timeout=2) as client:
            try:
                return (await client.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

    def _part(self, role: Victim) -> psutil.Process:
        """The first process of a role under the parent that serves."""
        for process in psutil.Process(self.pid).children():
            with contextlib.suppress(psutil.Error):
                words = process.cmdline()
                if "--role" in words and words[words.index("--role") + 1] == role:
                    return process
        raise AssertionError(f"no {role} runs")

    def _postmaster_pid(self) -> int:
        return int((self._folder / "postgres" / "postmaster.pid").read_text().split()[0])

    async def _valkey_pid(self) -> int:
        while True:  # it may still be coming back from the kill before
            try:
                with redis.Redis.from_url(self.urls["redis_url"]) as client:
                    return int(client.info("server")["process_id"])
            except redis.RedisError:
                await asyncio.sleep(0.05)

    async def post(self, token: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST until the answer is definite; every call used here is safe to repeat."""
        async with httpx.AsyncClient(base_url=self.urls["url"], timeout=5) as client:
            while True:
                try:
                    answer = await client.post(
                        path, json=body, headers={"Authorization": f"Bearer {token}"}
                    )
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code < 500:
                    found: dict[str, Any] = answer.json()
                    return found
                await asyncio.sleep(0.1)

    async def rows(self, query: str, *args: object) -> list[asyncpg.Record]:
        """Ask the database itself."""
        while True:
            try:
                connection = await asyncpg.connect(self.urls["postgres_owner_dsn"])
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.1)
                continue
            try:
                found: list[asyncpg.Record] = await connection.fetch(query, *args)
                return found
            finally:
                await connection.close()

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", "dev", "--json", "--port", str(self._port),
            "--data-dir", str(self._folder),
            *(("--workers", str(self._workers)) if self._workers else ()), stdout=PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), READY_S)
        self.urls = json.loads(line)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # a backend that has ended meanwhile
        process.send_signal(number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
