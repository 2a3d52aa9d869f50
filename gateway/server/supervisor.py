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
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TextIO

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
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._failed: int | None = None

    @property
    def pids(self) -> dict[str, int]:
        """Returns the process ids by name."""
        return {name: process.pid for name, process in self._processes.items()}

    async def run(self, ready: Callable[[], object], stop: Stop) -> int:
        """Runs them until `stop` is asked for; returns the exit code.

        `ready` is called once all of them serve. One that ends before it was ready for the first
        time has a reason that a new start does not cure: all end, and its code is returned.
        """
        async with _notifications() as notified:
            with stop.by(self._stopping.set):
                stop.at_once = self._kill
                waiting = {child.name for child in self._plan}
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._tell(notified, waiting, ready))
                    for child in self._plan:
                        group.create_task(self._keep(child, notified.address, waiting))
        return self._failed or 0

    async def _tell(
        self, notified: Notifications, waiting: set[str], ready: Callable[[], object]
    ) -> None:
        while waiting and not self._stopping.is_set():
            name = await notified.next(self._stopping)
            waiting.discard(name)
            if not waiting:
                ready()

    async def _keep(self, child: Child, address: str, waiting: set[str]) -> None:
        failures = 0
        while not self._stopping.is_set():
            begun_s = time.monotonic()
            process = await self._start(child, address)
            ended = asyncio.create_task(process.wait())
            stopping = asyncio.create_task(self._stopping.wait())
            await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if self._stopping.is_set():
                await self._end(process)
                return
            if child.name in waiting:
                self._failed = process.returncode or 1
                self._stopping.set()
                return
            lived_s = time.monotonic() - begun_s
            failures = 0 if lived_s > LIVED_LONG_S else failures + 1
            log.error("process_died", process=child.name, code=process.returncode, lived_s=lived_s)
            if failures > 1:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BACKOFF.after(failures - 1)):
                        await self._stopping.wait()

    async def _start(self, child: Child, address: str) -> asyncio.subprocess.Process:
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

    async def _end(self, process: asyncio.subprocess.Process) -> None:
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

    async def next(self, stopping: asyncio.Event) -> str:
        """Returns the name of the next process that is ready; an empty one when all is to end."""
        received = asyncio.create_task(asyncio.get_running_loop().sock_recv(self._own, 4096))
        ended = asyncio.create_task(stopping.wait())
        await asyncio.wait((received, ended), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if not received.done():
            received.cancel()
            return ""
        return received.result().decode().partition("NAME=")[2].strip()


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
