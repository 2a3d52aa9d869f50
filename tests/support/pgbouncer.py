"""A real PgBouncer in front of the servers of this run, on a unix socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from deploy.identity import choose_identity
from tests.support.programs import program

PORT = 6432
USUAL = "extra_float_digits, options, statement_timeout, lock_timeout, role, jit, \
idle_in_transaction_session_timeout"
"""What operators let it ignore, so that drivers are let in."""


@asynccontextmanager
async def pgbouncer(
    folder: Path, server_dsn: str, logins: dict[str, str], *, mode: str, ignored: str = USUAL
) -> AsyncIterator[str]:
    """Runs one that connects to a server with these passwords; its address as a DSN's query."""
    identity = choose_identity()
    parts = urlsplit(server_dsn)
    query = parse_qs(parts.query)
    host = query["host"][0] if "host" in query else unquote(parts.hostname or "")
    port = query["port"][0] if "port" in query else parts.port or 5432
    (folder / "users").write_text("".join(f'"{name}" "{key}"\n' for name, key in logins.items()))
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={host} port={port}\n"
        "[pgbouncer]\nauth_type = trust\npool_mode = "
        f"{mode}\nauth_file = {folder}/users\nunix_socket_dir = {folder}\nlisten_port = {PORT}\n"
        f"default_pool_size = 6\nlogfile = {folder}/log\nignore_startup_parameters = {ignored}\n"
    )
    if identity.user_id is not None:
        for path in (folder, *folder.iterdir()):
            os.chown(path, identity.user_id, -1)
    process = identity.spawn([program("pgbouncer"), "--quiet", str(folder / "pgbouncer.ini")])
    try:
        async with asyncio.timeout(10):
            while not (folder / f".s.PGSQL.{PORT}").exists():
                assert process.poll() is None, (folder / "log").read_text()
                await asyncio.sleep(0.01)
        yield f"host={folder}&port={PORT}"
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)
