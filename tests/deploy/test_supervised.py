"""What keeps a server running keeps running itself, and lets everything else run on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from deploy import supervised
from deploy.failures import EmbeddedError
from deploy.supervised import Supervised, end_marked

MARK = f"hx-test-{uuid4().hex}"
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)", MARK]


class Server:
    """A program that sleeps, started again and again; the threads it was asked on."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self.failures: list[Exception] = []
        self.asked_on: set[threading.Thread] = set()

    def spawn(self) -> subprocess.Popen[bytes]:
        """A new process, or the next failure."""
        if self.started and self.failures:
            raise self.failures.pop()
        self.started.append(subprocess.Popen(SLEEP))
        return self.started[-1]

    def is_ready(self, _pid: int) -> bool:
        """At once."""
        self.asked_on.add(threading.current_thread())
        return True

    def twin(self) -> psutil.Process | None:
        """None."""
        self.asked_on.add(threading.current_thread())
        return None

    async def sweep(self, first: signal.Signals) -> None:
        """As the real ones do."""
        await end_marked(MARK, "python", first)


@pytest.fixture
def server() -> Iterator[Server]:
    """One whose processes end with the test."""
    server = Server()
    yield server
    for process in server.started:
        process.kill()
        process.wait()


def watched(server: Server) -> Supervised:
    """The server under supervision."""
    return Supervised(
        "Sleep",
        server.spawn,
        server.is_ready,
        server.twin,
        server.sweep,
        signal.SIGTERM,
        Path("/nowhere"),
    )


async def test_a_failure_that_nobody_foresaw_does_not_end_the_watch(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and the next try starts the server."""
    server.failures = [RuntimeError("unforeseen"), EmbeddedError("full")]
    kept = watched(server)
    await kept.start()
    watch = asyncio.create_task(kept.watch())
    server.started[0].kill()
    async with asyncio.timeout(5):
        while len(server.started) < 2:
            assert not watch.done()
            await asyncio.sleep(0.01)
    watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watch
    await kept.stop()
    assert caplog.text.count("Sleep could not be started again") == 2
    assert "unforeseen" in caplog.text


async def test_what_may_block_is_asked_on_another_thread(server: Server) -> None:
    """The service in this process answers meanwhile."""
    kept = watched(server)
    await kept.start()
    await kept.stop()
    assert server.asked_on
    assert threading.main_thread() not in server.asked_on
    assert threading.current_thread() not in server.asked_on


async def test_a_process_that_cannot_be_ended_is_told_and_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names it."""
    monkeypatch.setattr(supervised, "ORPHAN_LIMIT_S", 0.05)
    monkeypatch.setattr(supervised, "KILL_LIMIT_S", 0.05)
    monkeypatch.setattr(psutil.Process, "kill", lambda _: None)
    pid = server.spawn().pid
    async with asyncio.timeout(5):
        with pytest.raises(EmbeddedError, match=f"process {pid}"):
            await end_marked(MARK, "python", signal.SIGCONT)
