"""Serves REST, WebSocket and pages on one port until a signal ends the process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, cast

import structlog
import uvicorn

from engine.kernel.loops import run_loops
from gateway.contract import limits
from gateway.http.parts import Parts
from gateway.http.transport.patience import PATIENCE, Patience
from gateway.http.transport.protocol import GatewayHttpProtocol
from gateway.server.app import create_app
from gateway.server.cli_errors import CommandError
from gateway.server.frozen_heap import HeapSweep, frozen_heap
from gateway.server.metrics_port import metrics_served
from gateway.server.roles import ProcessRole
from gateway.server.shutdown import Stop
from gateway.server.wiring import open_parts
from gateway.session.transport import GatewayWebSocketProtocol
from gateway.settings.groups import Http, MetricsPort, Settings

BACKLOG = 2_048

log = structlog.get_logger(__name__)


async def work(
    settings: Settings, role: ProcessRole, ready: Callable[[], object], stop: Stop
) -> None:
    """Runs the parts of a role that answers no requests, until `stop` is requested."""
    async with AsyncExitStack() as stack:
        apart = listen_for_metrics(settings.metrics)
        if apart is not None:
            stack.callback(apart.close)
        parts = await stack.enter_async_context(open_parts(settings, role=role))
        await stack.enter_async_context(metrics_served(parts, apart))
        stack.enter_context(frozen_heap())
        await stack.enter_async_context(run_loops([HeapSweep()]))
        ended = asyncio.Event()
        with stop.by(ended.set):
            ready()
            await ended.wait()


async def serve(
    settings: Settings,
    listener: socket.socket,
    ready: Callable[[str], None],
    stop: Stop,
    role: ProcessRole = ProcessRole.ALL,
) -> None:
    """Opens the parts, serves until `stop` is requested, closes the parts in reverse.

    `ready` gets the URL when the first request can be answered.
    """
    async with AsyncExitStack() as stack:
        apart = listen_for_metrics(settings.metrics)
        if apart is not None:
            stack.callback(apart.close)
        parts = await stack.enter_async_context(open_parts(settings, role=role))
        await stack.enter_async_context(metrics_served(parts, apart))
        server = _Server(
            configured(parts, settings.http.shutdown_s),
            ready=lambda: ready(url_of(listener)),
        )

        def wind_down() -> None:
            if leaving:  # asked once more: nobody is waited for
                parts.hub.stop()
                server.wind_down()
            else:
                leaving.append(asyncio.create_task(server.leave(parts, settings.http.drain_s)))

        leaving: list[asyncio.Task[None]] = []

        # From here on most of what is made is a connection's: no collection looks at the rest again.
        stack.enter_context(frozen_heap())
        await stack.enter_async_context(run_loops([HeapSweep()]))
        with stop.by(wind_down):
            await server.serve(sockets=[listener])


def configured(parts: Parts, shutdown_s: float, patience: Patience = PATIENCE) -> uvicorn.Config:
    """Returns uvicorn's configuration for the application: REST, WebSocket and pages."""
    metrics = parts.metrics.requests
    return uvicorn.Config(
        create_app(parts),
        http=cast(
            "Any",
            partial(GatewayHttpProtocol, closed=metrics.connection_refused, patience=patience),
        ),
        ws=cast(
            "Any", partial(GatewayWebSocketProtocol, refused=partial(metrics.refused, "socket"))
        ),
        ws_max_size=limits.MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        # Heartbeats are the protocol's own (gateway/session/session.py).
        ws_ping_interval=None,
        ws_ping_timeout=None,
        lifespan="off",
        log_config=None,
        # Who is in front is set by HX_TRUSTED_PROXIES (gateway/identity/client_address.py) alone.
        proxy_headers=False,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(shutdown_s),
    )


def listen(http: Http) -> socket.socket:
    """Returns the listening socket; raises CommandError if the address is taken or not ours."""
    return _listening(http.host, http.port, "--port or HX_PORT")


def listen_often(http: Http, processes: int) -> list[socket.socket]:
    """Returns a listening socket for each of so many processes; raises as `listen`.

    The kernel spreads connections among sockets of one port on Linux alone: elsewhere all share one.
    """
    if sys.platform != "linux":
        return [listen(http)]
    listen(http).close()  # refused where anybody else has it: with `reuse_port` one would join in
    first = _listening(http.host, http.port, "--port or HX_PORT", reuse_port=True)
    port = first.getsockname()[1]
    more = [
        _listening(http.host, port, "--port or HX_PORT", reuse_port=True)
        for _ in range(processes - 1)
    ]
    return [first, *more]


def listen_for_metrics(own: MetricsPort) -> socket.socket | None:
    """Returns the listening socket of /metrics; None without a port of its own.

    Raises as `listen`.
    """
    return None if own.port is None else _listening(own.host, own.port, "HX_METRICS_PORT")


def _listening(host: str, port: int, named_by: str, *, reuse_port: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio's own loop switches Nagle's algorithm off, as uvloop always does.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Name another port with {named_by}."
        ) from error
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """Returns the service's URL for a client on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn's server with our own signal handling and a callback when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to accept connections, then calls `ready`."""
        await super().startup(sockets)
        self._ready()

    async def leave(self, parts: Parts, drain_s: float) -> None:
        """Opens no session any more, tells those that are open to come back, then winds down.

        Requests are answered meanwhile: a balancer may take a while to look at /readyz.
        """
        parts.health.is_leaving = True
        await parts.hub.drain(drain_s)
        for accepting in self.servers:
            accepting.close()
        await asyncio.sleep(limits.LAST_REQUESTS_S)  # of connections that were accepted just now
        self.wind_down()

    def wind_down(self) -> None:
        """Lets requests and sockets finish; a second call cuts them."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to `Stop`: uvicorn's own would raise them again at the end."""
        yield
