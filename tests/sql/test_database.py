"""The door to PostgreSQL: what is refused, what is away, what is our own defect."""

import asyncio
import socket

import asyncpg
import pytest

from engine.kernel import db_errors
from engine.kernel.errors import Refusal
from sql import failures
from sql.database import Database, DatabaseAway, DatabaseError
from tests.support.market import Market


@pytest.mark.parametrize(
    "dsn", ["postgresql://h:notaport/db", "postgresql://[::1/db", "postgresql://127.0.0.1:1/db"]
)
async def test_a_server_that_cannot_be_reached_is_away(dsn: str) -> None:
    """Also where the DSN names none; one sentence, no driver's exception."""
    with pytest.raises(DatabaseAway):
        await Database.open(dsn)


async def test_a_refusal_carries_code_and_invariant(database_dsn: str, market: Market) -> None:
    """Not the driver's class or text."""
    database = await Database.open(database_dsn)
    task = await market.task()
    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    with pytest.raises(DatabaseError) as caught:
        await database.call("begin_funding", await market.poster_of(task), task)
    assert (caught.value.sqlstate, caught.value.constraint) == ("HX001", "TASK-TERMINAL")
    await database.close()


async def test_an_argument_of_the_wrong_type_is_no_absence(market: Market) -> None:
    """A defect of ours must not look like a server that is away."""
    with pytest.raises(DatabaseError, match="invalid UUID"):
        await market.store.value("me_view", "no uuid")
    with pytest.raises(Refusal):
        await market.queries.people.me(await market.task())  # type: ignore[arg-type]


async def test_a_value_that_postgres_cannot_take_is_a_refusal(market: Market) -> None:
    """Whether the driver or the server says so: class 22 blames who sent the value."""
    task = str(await market.task())
    poster = await market.poster_of(await market.task())
    for name, args in (
        ("create_task", (poster, '{"deadline": "2030-01-01T00:00:00+16:00"}')),
        ("create_task", (poster, '{"title": "a\\u0000b"}')),
        ("create_task", (poster, '{"price": 1e300}')),
        ("create_task", (poster, "{")),
        ("create_task", (poster, "\ud800")),
        ("propose_price", (poster, task, 2**31)),
    ):
        with pytest.raises(Refusal) as caught:
            await market.store.perform(name, *args)
        assert caught.value.kind.code == "VALIDATION_ERROR", args


LOST = ("26000", "42P05")  # prepared statements
AWAY = [
    "08000", "08003", "08006", "08P01", "25006", "25P02", "25P03", "26000", "28000", "28P01",
    "3D000", "40003", "42P05", "53100", "53200", "53300", "53400", "57P01", "57P02", "57P03",
    "57P05", "58000", "58030", "F0000",
]  # fmt: skip
BUSY = ["40000", "40001", "40P01", "55P03", "57014", "72000"]
DEFECTS = ["0A000", "42501", "42601", "42703", "42883", "42P01", "55000", "P0001", "XX000", "XX001"]


async def raised(market: Market, sqlstate: str) -> None:
    """The driver's error of this SQLSTATE, as the server sends it, through the door's translation."""
    try:
        await market.app.execute(
            f"do $$ begin raise exception using errcode = '{sqlstate}', message = 'no'; end $$"
        )
    except asyncpg.PostgresError as error:
        raise failures.translated(error) from error


@pytest.mark.parametrize("sqlstate", AWAY)
async def test_a_server_that_cannot_serve_now_is_away(market: Market, sqlstate: str) -> None:
    """Connections, resources, shutdown, a read-only session: no defect, and to be tried again."""
    with pytest.raises(DatabaseAway, match=sqlstate if sqlstate not in LOST else "prepared"):
        await raised(market, sqlstate)


@pytest.mark.parametrize("sqlstate", BUSY)
async def test_what_was_busy_is_refused_and_may_be_tried_again(
    market: Market, sqlstate: str
) -> None:
    """A lock, a deadlock, a time-out: nothing was done."""
    with pytest.raises(DatabaseError) as caught:
        await raised(market, sqlstate)
    refusal = db_errors.refusal_of(caught.value)
    assert refusal is not None
    assert (refusal.kind.code, refusal.kind.retryable) == ("HX017", True)


@pytest.mark.parametrize("sqlstate", DEFECTS)
async def test_what_is_wrong_with_a_statement_is_a_defect(market: Market, sqlstate: str) -> None:
    """Neither away nor a refusal: it would be the same the next time."""
    with pytest.raises(DatabaseError) as caught:
        await raised(market, sqlstate)
    assert db_errors.refusal_of(caught.value) is None


async def test_a_connection_that_breaks_under_a_statement_is_an_absence(database_dsn: str) -> None:
    """The pool takes it back by itself; the next statement has another one."""
    database = await Database.open(database_dsn, size=1)
    asked = asyncio.create_task(database.call("pg_sleep", 30.0))
    async with asyncio.timeout(10.0):
        while not database.use().busy:  # noqa: ASYNC110 - the statement is on its way
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    for holder in database._pool._holders:
        holder._con._transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    with pytest.raises(DatabaseAway):
        await asked
    assert await database.value("clock") is not None
    await database.close()


async def test_a_connection_that_met_an_absence_is_not_used_again(database_dsn: str) -> None:
    """Nor is one whose statement never came back."""
    database = await Database.open(database_dsn, size=1)
    async with database._connection() as connection:
        before = connection.get_server_pid()
    with pytest.raises(DatabaseAway):
        async with database._connection() as connection:
            await connection.execute("begin read only; delete from timers")
    async with database._connection() as connection:
        between = connection.get_server_pid()
    with pytest.raises(DatabaseAway):
        async with database._connection() as connection:
            await connection.execute("select pg_sleep(5)", timeout=0.01)
    async with database._connection() as connection:
        after = connection.get_server_pid()
    assert len({before, between, after}) == 3
    await database.close()
