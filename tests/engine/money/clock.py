"""A clock that stands still until it is moved, so that every border can be met to the second."""

from __future__ import annotations

import asyncpg

STOPPED = """
create or replace function hx_clock() returns timestamptz
language sql volatile
return timestamptz '2031-05-05 12:00:00+00'
    + coalesce((select c.amount from clock_offset as c), interval '0');
"""


async def stop(owner: asyncpg.Connection) -> None:
    """From here on time passes by `advance` alone; only in a database of one's own."""
    await owner.execute(STOPPED)
    await owner.execute("insert into clock_offset (amount) values ('0') on conflict do nothing")
    await owner.fetchval("select ensure_partitions()")


async def advance(owner: asyncpg.Connection, seconds: float) -> None:
    """Move it forward."""
    await owner.execute(
        "update clock_offset set amount = amount + make_interval(secs => $1)", float(seconds)
    )
