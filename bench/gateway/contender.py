"""A server under measurement: a process that listens, and does what a line of its input says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

Answer = dict[str, Any]


class Contender:
    """One server in a process of its own, so that its CPU time is its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.pid = process.pid
        self.port = port

    async def ask(self, command: str) -> Answer:
        """Sends a command and returns its answer; raises RuntimeError when the process has died."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await _line(self._process)


@asynccontextmanager
async def running(command: Sequence[str]) -> AsyncIterator[Contender]:
    """Runs a server while the block runs; it ends with its standard input."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Contender(process, (await _line(process))["port"])
    finally:
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 10.0)
            except TimeoutError:
                process.kill()


async def _line(process: asyncio.subprocess.Process) -> Answer:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a server has died with {await process.wait()}")
    answer: Answer = json.loads(line)
    return answer
