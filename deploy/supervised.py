"""Supervises one server process, and finds those that an earlier launcher left behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Never, Protocol

import psutil

from deploy.failures import EmbeddedError

POLL_S = 0.02  # while a server starts or stops
WATCH_S = 0.1  # how late a death is noticed
START_LIMIT_S = 60.0  # crash recovery of a big cluster may take this long
STOP_LIMIT_S = 10.0
ORPHAN_LIMIT_S = 2.0
KILL_LIMIT_S = 10.0
BACKOFF_S_MAX = 5.0

log = logging.getLogger(__name__)


def marked(mark: str, program: str) -> list[tuple[psutil.Process, list[str]]]:
    """Returns the processes of one server with their command lines, found by the mark in those.

    The mark says more than a remembered pid with its start time: it finds every child too, and
    no other program can carry it by accident.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            title = process.cmdline()
            if title and program in title[0] and any(mark in word for word in title):
                found.append((process, title))
    return found


async def end_marked(mark: str, program: str, first: signal.Signals) -> None:
    """Ends every process of a server: by the signal `first`, after two seconds by SIGKILL.

    Raises EmbeddedError for one that lives on: another user's, or stuck in the kernel.
    """
    left = [process for process, _ in await asyncio.to_thread(marked, mark, program)]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.send_signal(first)
    deadline = time.monotonic() + ORPHAN_LIMIT_S
    while left and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
        left = [process for process in left if _alive(process)]
    deadline = time.monotonic() + KILL_LIMIT_S
    while left := [
        process for process, _ in await asyncio.to_thread(marked, mark, program) if _alive(process)
    ]:
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in left)
            raise EmbeddedError(f"{program} (process {pids}) cannot be ended: end it by hand.")
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        await asyncio.sleep(POLL_S)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


class Process(Protocol):
    """A server process, whether this launcher started it or an earlier one."""

    @property
    def pid(self) -> int:
        """Returns its process id."""

    def poll(self) -> int | None:
        """Returns the exit status, or None while it runs."""

    def send_signal(self, number: int, /) -> None:
        """Sends a signal; does nothing to a process that has ended."""


class Adopted:
    """A server that an earlier launcher left running; the start time detects a recycled pid."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        """Returns None while it runs, else -1: only its parent could know the exit status."""
        return None if _alive(self._process) else -1

    def send_signal(self, number: int, /) -> None:
        """Sends a signal; does nothing to a process that has ended."""
        with contextlib.suppress(psutil.Error):
            self._process.send_signal(number)


@dataclass
class Supervised:
    """One supervised server: how it starts, is ready and stops; restarted whenever it dies."""

    name: str
    spawn: Callable[[], Process]
    # These two may block, and run on a thread. Is it ready, given the pid?
    is_ready: Callable[[int], bool]
    # The server of an earlier launcher that runs exactly as this one would be started.
    twin: Callable[[], psutil.Process | None]
    # Ends what is left of the server before a start, beginning with this signal.
    sweep: Callable[[signal.Signals], Awaitable[None]]
    stop_signal: signal.Signals
    log: Path
    process: Process | None = None

    async def start(self) -> None:
        """Returns when the server answers; raises EmbeddedError with the end of its log otherwise.

        A healthy server that a killed launcher left is taken over, with all that it remembers;
        anything else of it is stopped in good order and replaced.
        """
        left = await asyncio.to_thread(self.twin)
        if left is not None and await asyncio.to_thread(self.is_ready, left.pid):
            self.process = Adopted(left)
            return
        await self.sweep(self.stop_signal)
        await self._launch()

    async def _launch(self) -> None:
        self.process = self.spawn()
        deadline = time.monotonic() + START_LIMIT_S
        while not await asyncio.to_thread(self.is_ready, self.process.pid):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise EmbeddedError(f"{self.name} did not start: {last_words(self.log)}")
            await asyncio.sleep(POLL_S)

    async def watch(self) -> Never:
        """Restarts the server on the same address whenever it ends; back-off grows to 5 s."""
        pause_s = 0.0
        while True:
            await asyncio.sleep(WATCH_S)
            if self.process is not None and self.process.poll() is None:
                continue
            await asyncio.sleep(pause_s)
            try:
                # Children of a dead server hold its memory: they have nothing to finish.
                await self.sweep(signal.SIGKILL)
                await self._launch()
                pause_s = 0.0
            except Exception:
                # A full disk or a lost folder may heal, and nothing else would restart it.
                log.exception("%s could not be started again", self.name)
                pause_s = min(BACKOFF_S_MAX, 2 * pause_s + WATCH_S)

    async def stop(self) -> None:
        """Stops the server, by force after ten seconds; raises EmbeddedError if that fails."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
        deadline = time.monotonic() + STOP_LIMIT_S
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_S)
        await self.sweep(signal.SIGKILL)
        self.process.poll()  # so that the parent knows it, too


def last_words(log: Path) -> str:
    """Returns the last lines of a server's log, on one line."""
    if not log.exists():
        return "it said nothing"
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:]) or "it said nothing"
