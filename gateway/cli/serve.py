"""`hustlexp serve`: runs the service on configured servers."""

from __future__ import annotations

import os
from contextlib import closing
from importlib.metadata import version
from typing import Literal

import structlog

from gateway.server.cli_errors import CommandError
from gateway.server.logs import own_standard_error
from gateway.server.payments import demand_sdk
from gateway.server.redaction import secrets_of
from gateway.server.serving import listen
from gateway.server.serving import serve as serve_until_stopped
from gateway.server.shutdown import Stop, run
from gateway.settings.groups import Settings
from gateway.settings.loading import SettingsError


def serve(*, role: Literal["all", "gateway", "broadcaster", "worker"] = "all") -> int:
    """Serve on HX_HOST and HX_PORT until SIGTERM; the database must be migrated.

    Needs HX_POSTGRES_DSN and HX_REDIS_URL, and HX_CODE_KEY and HX_JWT_ISSUERS unless it runs with
    HX_DEVELOPMENT, which keeps keys of its own in HX_DATA_DIR.

    Args:
        role: What this process does: in this version all of it.
    """
    if role != "all":
        raise CommandError(
            "This version serves all roles in one process: leave --role out, or say --role all."
        )
    settings = Settings.load(os.environ)
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
    return run(lambda stop: _serve(settings, stop))


async def _serve(settings: Settings, stop: Stop) -> int:
    with closing(listen(settings.http)) as listener:
        await serve_until_stopped(settings, listener, _ready, stop)
    return 0


def _ready(url: str) -> None:
    structlog.get_logger(__name__).info("serving", url=url, version=version("hustlexp-live"))
