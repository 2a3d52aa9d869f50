"""When transactions were committed, by the server that committed them, and what a commit costs.

The embedded server of the benchmark keeps the time of each commit (`track_commit_timestamp`): it is
taken before the commit is flushed to disk, so what is measured from it includes the flush. All
clocks are this machine's.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg
import numpy as np

from deploy.embedded import embedded_servers

ALONE: Final = 200


class Commits:
    """Looks at commits over a connection as the owner."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def funded_at(self, task: UUID) -> tuple[UUID, float]:
        """Returns a task's broadcast and when its funding was committed, as Unix time.

        Nothing has changed the broadcast since; else it would be that change's time.
        """
        row = await self._connection.fetchrow(
            "select id, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 as at"
            " from live_broadcasts where task_id = $1",
            task,
        )
        return row["id"], row["at"]

    async def alone_ms(self) -> float:
        """Returns the median of a transaction that writes one row, with its round trip."""
        await self._connection.execute("create table if not exists bench_commits (n integer)")
        took = []
        for number in range(ALONE):
            began = time.perf_counter()
            await self._connection.execute("insert into bench_commits values ($1)", number)
            took.append((time.perf_counter() - began) * 1e3)
        return float(np.median(took))


@asynccontextmanager
async def commits(owner_dsn: str) -> AsyncIterator[Commits]:
    """Yields a look at the commits of a server that keeps their times."""
    connection = await asyncpg.connect(owner_dsn)
    try:
        yield Commits(connection)
    finally:
        await connection.close()


async def keep_commit_times(data_dir: Path) -> None:
    """Makes the embedded server of this folder, not running now, keep the time of each commit."""
    async with embedded_servers(data_dir) as servers:
        assert servers.postgres_superuser_dsn is not None
        superuser = await asyncpg.connect(servers.postgres_superuser_dsn)
        await superuser.execute("alter system set track_commit_timestamp = on")
        await superuser.close()
