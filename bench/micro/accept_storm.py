"""Accept storm: 500 hustlers on one task, our accept against the same one behind plain FOR UPDATE.

    python -m bench.micro.accept_storm

Peer: `accept_task` with its first three steps replaced by one `select … for update`; same checks,
same events, same server, same pool, same run, rounds in turn.
It decides whether asking before the lock, and waiting only when it is held, is worth its
code (design §6). Both must give one winner and a definite answer to everybody.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

import asyncpg

from bench.micro.report import Row, print_report
from deploy.embedded import embedded_servers
from sql.migrate import migrate

CONTENDERS = 500
ROUNDS = 7
CONNECTIONS = 16
"""As many as one service process holds."""


async def main() -> None:
    """Measures both accepts and prints the comparison."""
    with tempfile.TemporaryDirectory(prefix="hx-bench-") as folder:
        async with embedded_servers(Path(folder)) as servers:
            await migrate(servers.postgres_owner_dsn)
            await measure(servers.postgres_dsn, servers.postgres_owner_dsn)


async def measure(dsn: str, owner_dsn: str) -> None:
    """Measures both in turn on a migrated database; exits unless each storm has one winner."""
    owner = await asyncpg.connect(owner_dsn)
    await _make_peer(owner)
    pool = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)
    hustlers = await _hustlers(owner)
    seconds: dict[str, list[float]] = {"accept_task": [], "accept_plain": []}
    slowest: dict[str, list[float]] = {"accept_task": [], "accept_plain": []}
    for round_number in range(2 * ROUNDS + 2):
        function = ("accept_task", "accept_plain")[round_number % 2]
        took, worst = await _storm(pool, owner, function, hustlers)
        if round_number >= 2:  # the first of each warms plans and caches
            seconds[function].append(took)
            slowest[function].append(worst)
    ours, peer = (statistics.median(seconds[name]) for name in ("accept_task", "accept_plain"))
    print_report(
        f"Accept storm: {CONTENDERS} contenders, {CONNECTIONS} connections, median of {ROUNDS}",
        [
            Row("storm, all answered", ours * 1e3, peer * 1e3, "ms", target="≥ 1.8"),
            Row(
                "slowest answer",
                statistics.median(slowest["accept_task"]) * 1e3,
                statistics.median(slowest["accept_plain"]) * 1e3,
                "ms",
                target="ours ≤ 250 ms",
            ),
        ],
        peer="plain FOR UPDATE",
    )
    await pool.close()
    await owner.close()


async def _make_peer(owner: asyncpg.Connection) -> None:
    source: str = await owner.fetchval(
        "select pg_get_functiondef(oid) from pg_proc where proname = 'accept_task'"
    )
    head, rest = source.split("-- 1.", 1)
    _, tail = rest.split("-- 4.", 1)
    body = f"{head} perform from tasks where id = p_task for update;\n -- 4.{tail}"
    await owner.execute(body.replace("FUNCTION public.accept_task", "FUNCTION public.accept_plain"))


async def _ids(owner: asyncpg.Connection, count: int) -> list[uuid.UUID]:
    rows = await owner.fetch("select hx_id() as id from generate_series(1, $1)", count)
    return [row["id"] for row in rows]


async def _hustlers(owner: asyncpg.Connection) -> list[uuid.UUID]:
    ids = await _ids(owner, CONTENDERS)
    await owner.executemany(
        "insert into users (id, issuer, subject, role) values ($1, 'bench', $2, 'hustler')",
        [(user, str(user)) for user in ids],
    )
    return ids


async def _storm(
    pool: asyncpg.Pool, owner: asyncpg.Connection, function: str, hustlers: list[uuid.UUID]
) -> tuple[float, float]:
    """Returns seconds until every accept has an answer, and those of the slowest single one."""
    task = await _offered_task(owner, hustlers)
    outcomes: Counter[str] = Counter()
    waits: list[float] = []
    begun = time.perf_counter()

    async def attempt(hustler: uuid.UUID) -> None:
        async with pool.acquire() as connection:
            try:
                outcome = await connection.fetchval(
                    f"select {function}($1, $2, null) ->> 'outcome'",
                    hustler,
                    task,
                )
            except asyncpg.LockNotAvailableError:
                outcome = "BUSY"
        outcomes[outcome] += 1
        waits.append(time.perf_counter() - begun)

    await asyncio.gather(*map(attempt, hustlers))
    took = time.perf_counter() - begun
    if outcomes["WON"] != 1 or outcomes["WON"] + outcomes["TAKEN"] != len(hustlers):
        raise SystemExit(f"{function}: not one winner and a definite answer each: {outcomes}")
    return took, max(waits)


async def _offered_task(owner: asyncpg.Connection, hustlers: list[uuid.UUID]) -> uuid.UUID:
    """Returns a funded LIVE task offered to all hustlers, each ACTIVE and without a task again."""
    poster, task, broadcast = await _ids(owner, 3)
    async with owner.transaction():
        await owner.execute(
            "insert into users (id, issuer, subject, role) values ($1, 'bench', $2, 'poster')",
            poster,
            str(poster),
        )
        await owner.execute(
            "insert into tasks (id, mode, state, title, description, category, price, location_lat,"
            " location_lng, place_lat, place_lng, partition, requires_proof, poster_id)"
            " values ($1, 'LIVE', 'MATCHING', 't', 'd', 'c', 4000, 37, -122, 37, -122, 0, false, $2)",
            task,
            poster,
        )
        await owner.execute("insert into escrows (task_id, amount) values ($1, 4000)", task)
        await owner.execute(
            "update escrows set state = 'FUNDED', stripe_payment_intent_id = 'pi_' || id"
            " where task_id = $1",
            task,
        )
        await owner.execute(
            "insert into live_broadcasts (id, task_id, expires_at, initial_radius_miles,"
            " max_radius_miles, expansion_step_miles, expansion_interval_s)"
            " values ($1, $2, hx_clock() + interval '10 minutes', 3, 10, 2, 60)",
            broadcast,
            task,
        )
        await owner.execute(
            "insert into offers (broadcast_id, hustler_id, task_id, distance_miles, matching_score)"
            " select $1, h, $2, 1, 0.8 from unnest($3::uuid[]) as h",
            broadcast,
            task,
            hustlers,
        )
        # the winner of the round before is free again: the task is handed in
        await owner.execute(
            "insert into proofs (task_id, hustler_id, kind, state)"
            " select id, assigned_hustler_id, 'CODE', 'SUBMITTED' from tasks"
            " where state = 'ACCEPTED'"
        )
        await owner.execute("update tasks set state = 'PROOF_SUBMITTED' where state = 'ACCEPTED'")
        await owner.execute("alter table live_status disable trigger user")
        await owner.execute(
            "update live_status set cooldown_until = null, session_id = null, active_since = null"
        )
        await owner.execute("alter table live_status enable trigger user")
        await owner.execute("delete from live_sessions")
        await owner.execute(
            "with opened as (insert into live_sessions (user_id) select h from unnest($1::uuid[])"
            " as h returning id, user_id)"
            " update live_status as s set session_id = o.id, active_since = hx_clock()"
            " from opened as o where o.user_id = s.user_id",
            hustlers,
        )
    return uuid.UUID(str(task))


if __name__ == "__main__":
    asyncio.run(main())
