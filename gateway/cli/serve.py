"""`hustlexp serve`: the service on servers of yours."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import Literal

from gateway.cli.stopping import Stop, run
from gateway.logs import configure_logs
from gateway.serving import listen
from gateway.serving import serve as serve_until_stopped
from gateway.settings import Settings


def serve(*, role: Literal["all"] = "all") -> int:  # noqa: ARG001  # there is one role so far
    """Serve on HX_HOST and HX_PORT until SIGTERM; the database must be migrated.

    Needs HX_POSTGRES_DSN and HX_REDIS_URL, and HX_CODE_KEY and HX_JWT_ISSUERS unless it runs with
    HX_DEVELOPMENT, which keeps keys of its own in HX_DATA_DIR.

    Args:
        role: What this process does: all of it.
    """
    settings = Settings.load(os.environ)
    settings.demand("HX_POSTGRES_DSN", "HX_REDIS_URL")
    if not settings.development:
        settings.demand("HX_CODE_KEY", "HX_JWT_ISSUERS")
    configure_logs(settings.log)
    return run(lambda stop: _serve(settings, stop))


async def _serve(settings: Settings, stop: Stop) -> int:
    with closing(listen(settings.http)) as listener:
        await serve_until_stopped(
            settings, listener, lambda url: print(f"serving {url}", file=sys.stderr), stop
        )
    return 0
