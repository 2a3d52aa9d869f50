"""Runs several processes of one service, keeps their listening sockets, and starts again what dies.

Each gateway accepts from a socket of its own on the same port, so that the kernel spreads connections
by their addresses; the parent keeps every socket open, so that none that waits is lost while its
process is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TextIO

import structlog

from engine.kernel.loops import Backoff
from gateway.server.cli_errors import CommandError
from gateway.server.roles import ProcessRole
from gateway.server.serving import listen_often, url_of
from gateway.server.shutdown import Stop
from gateway.settings.groups import Settings

log = structlog.get_logger(__name__)

LIVED_LONG_S: Final = 10.0
"""A process that lived so long is started again at once."""
KILLED_AFTER_S: Final = 10.0
"""Beyond the time that the service takes to finish its requests."""
_BACKOFF: Final = Backoff(0.1, 5.0)


@dataclass(frozen=True, slots=True)
class Child:
    """One process: its role, the socket that it accepts from, and settings of its own."""

    name: str
    role: ProcessRole
    listener: socket.socket | None
    own: Mapping[str, str]


def children(
    workers: int, listeners: Sequence[socket.socket], metrics_port: int | None
) -> list[Child]:
    """Returns so many gateways, one broadcaster and one worker.

    With a `metrics_port` each has the next one, in this order.
    """
    roles = [ProcessRole.GATEWAY] * workers + [ProcessRole.BROADCASTER, ProcessRole.WORKER]
    found = []
    for number, role in enumerate(roles):
        own = {"HX_METRICS_PORT": str(metrics_port + number)} if metrics_port else {}
        serves = role.serves
        name = f"{role.value}-{number + 1}" if serves else role.value
        listener = listeners[number % len(listeners)] if serves else None
        found.append(Child(name, role, listener, own))
    return found


class Supervisor:
    """The parent of some processes: all of them run, or none."""

    def __init__(
        self,
        plan: Sequence[Child],
        environ: Mapping[str, str],
        shutdown_s: float,
        output: TextIO | None = None,
    ) -> None:
        """What the processes log goes to `output`; without it to standard error."""
        self._plan = plan
        self._output = output
        self._environ = environ
        self._shutdown_s = shutdown_s
        self._processes: dict[str, Process] = {}
        self._stopping = asyncio.Event()
        self._rolling = asyncio.Event()
        names = [child.name for child in plan]
        self._ready = {name: asyncio.Event() for name in names}
        self._due = {name: asyncio.Event() for name in names}
        """Who is to be replaced."""
        self._replaced = {name: asyncio.Event() for name in names}
        self._failed: int | None = None

    async def run(self, ready: Callable[[], object], stop: Stop) -> int:
        """Runs them until `stop` is asked for; returns the exit code.

        `ready` is called once all of them serve. One that ends before it was ready for the first
        time has a reason that a new start does not cure: all end, and its code is returned.
        SIGUSR2 replaces them all, one after the other.
        """
        loop = asyncio.get_running_loop()
        async with _notifications() as notified:
            with stop.by(self._stopping.set):
                stop.at_once = self._kill
                loop.add_signal_handler(signal.SIGUSR2, self._rolling.set)
                async with asyncio.TaskGroup() as group:
                    helpers = [
                        group.create_task(self._hear(notified, ready)),
                        group.create_task(self._roll()),
                    ]
                    keeping = [
                        group.create_task(self._keep(child, notified.address))
                        for child in self._plan
                    ]
                    await asyncio.wait(keeping)
                    for helper in helpers:
                        helper.cancel()
                loop.remove_signal_handler(signal.SIGUSR2)
        return self._failed or 0

    async def _hear(self, notified: Notifications, ready: Callable[[], object]) -> None:
        """Notes who is ready."""
        waiting = {child.name for child in self._plan}
        while True:
            name = await notified.next()
            self._ready[name].set()
            if waiting:
                waiting.discard(name)
                if not waiting:
                    ready()

    async def _roll(self) -> None:
        """Replaces all processes, one after the other, whenever it is asked for."""
        while True:
            await self._rolling.wait()
            self._rolling.clear()
            for child in self._plan:
                self._replaced[child.name].clear()
                self._due[child.name].set()
                await self._replaced[child.name].wait()
            log.info("processes_replaced")

    async def _keep(self, child: Child, address: str) -> None:
        """Runs one process, and another in its place when it has died or is to be replaced."""
        failures, begun_s = 0, time.monotonic()
        process = await self._start(child, address)
        while True:
            await _first(process.wait(), self._stopping.wait(), self._due[child.name].wait())
            if self._stopping.is_set():
                await self._end(process)
                return
            if process.returncode is None:
                process = await self._replace(child, process, address)
                continue
            if not self._ready[child.name].is_set():
                self._failed = process.returncode or 1
                self._stopping.set()
                return
            lived_s = time.monotonic() - begun_s
            failures = 0 if lived_s > LIVED_LONG_S else failures + 1
            log.error("process_died", process=child.name, code=process.returncode, lived_s=lived_s)
            if failures > 1:
                pause_s = _BACKOFF.after(failures - 1)
                await _first(asyncio.sleep(pause_s), self._stopping.wait())
            begun_s = time.monotonic()
            process = await self._start(child, address)

    async def _replace(self, child: Child, process: Process, address: str) -> Process:
        """Starts another process, and ends this one when that one is ready; returns who is left."""
        ready = self._ready[child.name]
        ready.clear()
        successor = await self._start(child, address)
        await _first(ready.wait(), successor.wait(), self._stopping.wait())
        self._due[child.name].clear()
        self._replaced[child.name].set()
        if self._stopping.is_set() or ready.is_set():
            await self._end(process)
            return successor
        log.error("process_not_replaced", process=child.name, code=successor.returncode)
        ready.set()
        return process

    async def _start(self, child: Child, address: str) -> Process:
        command = [sys.executable, "-m", "gateway.cli", "serve", "--role", child.role.value]
        fds = () if child.listener is None else (child.listener.fileno(),)
        if fds:
            command += ["--fd", str(fds[0])]
        environ = {
            **self._environ,
            **child.own,
            "NOTIFY_SOCKET": address,
            "NOTIFY_NAME": child.name,
        }
        process = await asyncio.create_subprocess_exec(
            *command, "--parent", str(os.getpid()), env=environ, pass_fds=fds, stderr=self._output
        )
        self._processes[child.name] = process
        log.info("process_started", process=child.name, pid=process.pid)
        return process

    async def _end(self, process: Process) -> None:
        """Asks a process to end, and kills it when it takes too long."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._shutdown_s + KILLED_AFTER_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _kill(self) -> None:
        self._stopping.set()
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def serve_workers(
    settings: Settings,
    workers: int,
    environ: Mapping[str, str],
    ready: Callable[[str], object],
    stop: Stop,
    output: TextIO | None = None,
) -> int:
    """Runs processes of all roles until `stop` is requested; returns the exit code.

    `ready` gets the URL when the first request can be answered; raises CommandError as `listen`.
    """
    with ExitStack() as stack:
        listeners = listen_often(settings.http, workers)
        for listener in listeners:
            stack.enter_context(closing(listener))
        plan = children(workers, listeners, settings.metrics.port)
        supervisor = Supervisor(
            plan, environ, settings.http.drain_s + settings.http.shutdown_s, output
        )
        return await supervisor.run(lambda: ready(url_of(listeners[0])), stop)


class Notifications:
    """What processes say when they are ready, as to systemd: datagrams to `NOTIFY_SOCKET`."""

    def __init__(self, address: str, own: socket.socket) -> None:
        self.address = address
        self._own = own

    async def next(self) -> str:
        """Returns the name of the next process that is ready."""
        said = await asyncio.get_running_loop().sock_recv(self._own, 4096)
        return said.decode().partition("NAME=")[2].strip()


async def _first(*awaited: Coroutine[Any, Any, Any]) -> None:
    """Returns when the first of these has ended; the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def _notifications() -> AsyncIterator[Notifications]:
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="hx-"))
        own = stack.enter_context(closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)))
        address = str(Path(folder) / "notify")
        own.bind(address)
        own.setblocking(False)
        yield Notifications(address, own)


def notify_ready(environ: Mapping[str, str]) -> None:
    """Says to whoever started this process that it serves, where there is somebody."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    said = f"READY=1\nNAME={environ.get('NOTIFY_NAME', '')}"
    own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with closing(own), contextlib.suppress(OSError):
        own.sendto(said.encode(), address)


async def end_with_parent(parent: int, stop: Stop) -> None:
    """Asks this process to end when its parent has died; cancel it when it is not needed."""
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(1.0)
    log.error("parent_died", parent=parent)
    stop.ask()


def inherited(fd: int) -> socket.socket:
    """Returns a listening socket that this process was started with; raises CommandError."""
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise CommandError(f"--fd {fd} is no socket.")
    except OSError as error:
        raise CommandError(f"--fd {fd} cannot be used: {error.strerror}.") from error
    listener = socket.socket(fileno=fd)
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise CommandError(f"--fd {fd} is a socket that does not listen.")
    listener.setblocking(False)
    return listener
