"""`hustlexp serve`: runs the service on configured servers."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from importlib.metadata import version
from typing import Annotated, Literal

import structlog
from cyclopts import Parameter
from cyclopts.validators import Number

from gateway.server.cli_errors import UsageError
from gateway.server.logs import own_standard_error
from gateway.server.payments import demand_sdk
from gateway.server.redaction import secrets_of
from gateway.server.roles import ProcessRole
from gateway.server.serving import listen, work
from gateway.server.serving import serve as serve_until_stopped
from gateway.server.shutdown import Stop, run
from gateway.server.supervisor import (
    end_with_parent,
    inherited,
    notify_ready,
    serve_workers,
)
from gateway.settings.groups import Settings
from gateway.settings.loading import SettingsError


def serve(
    *,
    role: Literal["all", "gateway", "broadcaster", "worker"] = "all",
    workers: Annotated[int | None, Parameter(validator=Number(gte=1, lte=64))] = None,
    fd: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    parent: Annotated[int | None, Parameter(show=False)] = None,
) -> int:
    """Serve on HX_HOST and HX_PORT until SIGTERM; the database must be migrated.

    Needs HX_POSTGRES_DSN and HX_REDIS_URL, and HX_CODE_KEY and HX_JWT_ISSUERS unless it runs with
    HX_DEVELOPMENT, which keeps keys of its own in HX_DATA_DIR. Any number of processes serve one
    database and one Redis together.

    Args:
        role: What this process does: all, or only sockets and requests (gateway), the running
            broadcasts (broadcaster), or what goes on by itself (worker).
        workers: Run so many gateways on one port, and beside them a broadcaster and a worker; what
            dies is started again.
        fd: Accept from this listening socket, which the process was started with.
        parent: The process that must live for this one to go on.
    """
    settings = Settings.load(os.environ)
    if workers is not None and (role != "all" or fd is not None):
        raise UsageError("--workers starts processes of all roles: leave --role and --fd out.")
    if settings.development and not settings.http.stays_here:
        raise SettingsError(
            f"HX_DEVELOPMENT is for this machine alone, and HX_HOST is {settings.http.host}: "
            "serve on 127.0.0.1, or without HX_DEVELOPMENT."
        )
    settings.demand("HX_POSTGRES_DSN", "HX_REDIS_URL")
    if not settings.development:
        settings.demand("HX_CODE_KEY", "HX_JWT_ISSUERS")
    demand_sdk(settings.payments)
    own_standard_error(settings.log, secrets_of(settings))
    process = ProcessRole(role)
    structlog.contextvars.bind_contextvars(role=role)
    if workers is not None:
        return run(lambda stop: serve_workers(settings, workers, os.environ, _ready, stop))
    return run(lambda stop: _serve(settings, process, fd, parent, stop))


async def _serve(
    settings: Settings, role: ProcessRole, fd: int | None, parent: int | None, stop: Stop
) -> int:
    watching = asyncio.create_task(end_with_parent(parent, stop)) if parent else None
    try:
        if not role.serves:
            await work(settings, role, lambda: _ready(None), stop)
            return 0
        with closing(listen(settings.http) if fd is None else inherited(fd)) as listener:
            await serve_until_stopped(settings, listener, _ready, stop, role)
        return 0
    finally:
        if watching is not None:
            watching.cancel()


def _ready(url: str | None) -> None:
    structlog.get_logger(__name__).info("serving", url=url, version=version("hustlexp-live"))
    notify_ready(os.environ)
