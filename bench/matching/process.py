"""Starts the process under measurement, talks to it, and reads what PostgreSQL spent meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

_NS: Final = 1e-9


class SubjectProcess:
    """The broadcaster in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, command: str) -> dict[str, Any]:
        """Sends a command and returns its answer; raises RuntimeError when the process has died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n".encode())
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the broadcaster has died with {await self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def subject(postgres_dsn: str, redis_url: str) -> AsyncIterator[SubjectProcess]:
    """Runs the broadcaster while the block runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.matching.subject", postgres_dsn, redis_url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=64 * 2**20,
    )  # fmt: skip
    try:
        yield SubjectProcess(process)
    finally:
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.write(b"quit\n")
            await process.wait()


class BackendCpu:
    """The CPU of the backends of one database's application connections, by /proc."""

    def __init__(self) -> None:
        self._seen_s: dict[int, float] = {}

    def read(self, pids: list[int]) -> None:
        """Notes what these backends have used until now."""
        for pid in pids:
            try:
                spent_ns = int(
                    Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]
                )
            except FileNotFoundError:
                continue  # it has just ended
            self._seen_s[pid] = spent_ns * _NS

    @property
    def seconds(self) -> float:
        """Returns the CPU of all backends ever seen."""
        return sum(self._seen_s.values())
