"""A PostgreSQL cluster of one test's own, of any version that is installed: nobody has used it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.binaries import find_binaries
from deploy.identity import Identity, choose_identity

PORT = 5432
EMBEDDED = "embedded"
"""The version that `hustlexp dev` runs; others are Debian's folders."""


@dataclass(frozen=True)
class Cluster:
    """One that lets everybody in without a password."""

    folder: Path
    psql: str

    def dsn(self, login: str, database: str = "postgres") -> str:
        """A login on a database."""
        return f"postgresql://{login}@/{database}?host={self.folder}&port={PORT}"

    async def run(self, statement: str, login: str = "postgres") -> str:
        """What one statement of one login answers, unadorned."""
        words = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        process = await asyncio.create_subprocess_exec(
            *(self.psql, *words, f"--command={statement}", self.dsn(login)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        answer, _ = await process.communicate()
        assert process.returncode == 0, statement
        return answer.decode().strip()


@asynccontextmanager
async def cluster(version: str, folder: Path) -> AsyncIterator[Cluster]:
    """Made and started in a folder, stopped at the end; skipped where the version is absent."""
    identity = choose_identity()
    binaries = _programs(version, folder, identity)
    if identity.user_id is not None:
        os.chown(folder, identity.user_id, -1)
    made = identity.spawn(
        [
            str(binaries / "initdb"), f"--pgdata={folder}/cluster", "--username=postgres",
            "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
        ]
    )  # fmt: skip
    assert await asyncio.to_thread(made.wait) == 0
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "max_connections": "200",
        "dynamic_shared_memory_type": "mmap",
        "timezone": "Europe/Berlin",
    }
    server = identity.spawn(
        [
            str(binaries / "postgres"), "-D", f"{folder}/cluster",
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ]
    )  # fmt: skip
    try:
        await _until_ready(folder / "cluster" / "postmaster.pid")
        yield Cluster(folder, str(binaries / "psql"))
    finally:
        server.send_signal(signal.SIGINT)
        await asyncio.to_thread(server.wait)


def _programs(version: str, folder: Path, identity: Identity) -> Path:
    if version == EMBEDDED:
        found = find_binaries()
        return (found if identity.user_id is None else found.copied_to(folder)).postgres_bin
    binaries = Path("/usr/lib/postgresql", version, "bin")
    if not binaries.exists():
        pytest.skip(f"PostgreSQL {version} is not installed here")
    return binaries


async def _until_ready(pid_file: Path) -> None:
    async with asyncio.timeout(30):
        while True:
            if pid_file.exists() and "ready" in pid_file.read_text():
                return
            await asyncio.sleep(0.01)
