"""Serves /metrics on a port of its own, for a network that the public one does not reach."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.http.metrics_page import MetricsPage
from gateway.http.parts import Parts

SHUTDOWN_S = 1

log = structlog.get_logger(__name__)


@asynccontextmanager
async def metrics_served(parts: Parts, listener: socket.socket | None) -> AsyncIterator[None]:
    """Serves /metrics on this listener while the block runs; does nothing without one."""
    if listener is None:
        yield
        return
    server = _Server(
        uvicorn.Config(
            Starlette(routes=[Route("/metrics", MetricsPage(parts).show)]),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
    )
    host, port = listener.getsockname()[:2]
    log.info("serving_metrics", host=host, port=port)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="metrics port")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves the signals to `Stop`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Installs no signal handlers."""
        yield
