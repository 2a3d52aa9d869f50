"""Embedded PostgreSQL and Valkey from Python wheels, for a laptop, a test run or a demo.

Both are restarted when they die while the context is open; leaving the context stops them. A
launcher killed by force leaves them behind; the next start on the same folder takes them over.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy import postgres, valkey
from deploy.binaries import find_binaries
from deploy.folders import load_passwords, open_folders, sole_use
from deploy.identity import Identity, choose_identity
from deploy.supervised import Supervised

LOG_BYTES_MAX = 16 * 2**20


@dataclass(frozen=True)
class Servers:
    """Connection strings of the two servers, a DSN for each login."""

    postgres_dsn: str = field(repr=False)  # role hx_app
    postgres_owner_dsn: str = field(repr=False)  # role hx_owner: migrations
    redis_url: str = field(repr=False)
    # None when PostgreSQL is not ours.
    postgres_superuser_dsn: str | None = field(repr=False, default=None)


@asynccontextmanager
async def embedded_servers(
    data_dir: Path,
    *,
    postgres_dsn: str | None = None,
    postgres_owner_dsn: str | None = None,
    redis_url: str | None = None,
    durable: bool = True,
    identity: Identity | None = None,
) -> AsyncIterator[Servers]:
    """Runs the servers that no DSN or URL replaces; raises EmbeddedError if one cannot run.

    `durable=False` turns fsync off: quicker, for throw-away clusters.
    `identity` says under whom the servers run; by default the safest way that works here.
    """
    if postgres_dsn is not None and redis_url is not None:
        yield Servers(postgres_dsn, postgres_owner_dsn or postgres_dsn, redis_url)
        return
    identity = identity or choose_identity()
    binaries = find_binaries()
    folders = open_folders(data_dir, identity)
    async with AsyncExitStack() as stack:
        stack.enter_context(sole_use(folders.data))
        stack.callback(folders.tidy)
        passwords = load_passwords(folders.data)
        if identity.user_id is not None:
            binaries = binaries.copied_to(folders.servers.parent)
        superuser_dsn = None
        if redis_url is None:
            _shorten(folders.log("valkey"))
            await stack.enter_async_context(
                _running(valkey.server(folders, binaries, identity, passwords))
            )
            redis_url = valkey.url(folders, passwords)
        if postgres_dsn is None:
            _shorten(folders.log("postgres"))
            await postgres.prepare(folders, binaries, identity, passwords)
            await stack.enter_async_context(
                _running(postgres.server(folders, binaries, identity, durable=durable))
            )
            await postgres.create_roles(folders, binaries, passwords)
            superuser_dsn = postgres.dsn(folders, "postgres", passwords.superuser, "postgres")
            postgres_owner_dsn = postgres.dsn(folders, "hx_owner", passwords.owner)
            postgres_dsn = postgres.dsn(folders, "hx_app", passwords.app)
        yield Servers(postgres_dsn, postgres_owner_dsn or postgres_dsn, redis_url, superuser_dsn)


@asynccontextmanager
async def _running(server: Supervised) -> AsyncIterator[None]:
    try:
        await server.start()
        # A plain task, cancelled and awaited below: a TaskGroup would wrap the caller's errors.
        watch = asyncio.create_task(server.watch(), name=f"watch {server.name}")
        try:
            yield
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
    finally:
        await server.stop()


def _shorten(log: Path) -> None:
    """Truncates a log that has grown beyond 16 MiB."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.unlink()
