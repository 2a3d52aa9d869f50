"""The oldest servers that are supported, as Debian has them: PostgreSQL 15 and Redis 7."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from deploy.identity import choose_identity
from tests.support.clusters import cluster
from tests.support.paths import ROOT
from tests.support.programs import program

SUITE = ("tests/sql", "tests/engine", "tests/broadcast", "tests/geo", "tests/gateway/http")


@pytest.mark.long
async def test_all_sql_holds_on_postgresql_15_and_redis_7(run_folder: Path) -> None:
    """The tests of the database, the engine, the wave, presence and REST, on those servers."""
    socket = run_folder / "redis.sock"
    redis = choose_identity().spawn(
        [program("redis-server"), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    )
    try:
        async with cluster("15", run_folder) as servers:
            environ = {
                name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")
            }
            environ["HX_POSTGRES_DSN"] = servers.dsn("postgres")
            environ["HX_REDIS_URL"] = f"unix://{socket}"
            run = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "not long", *SUITE),
                cwd=ROOT,
                env=environ,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            received, _ = await run.communicate()
            assert run.returncode == 0, received.decode()[-8_000:]
    finally:
        redis.kill()
        await asyncio.to_thread(redis.wait)
