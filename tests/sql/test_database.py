"""The door to PostgreSQL: what is refused, what is away, what is our own defect."""

import pytest

from engine.errors import Refusal
from sql.database import Database, DatabaseAway, DatabaseError
from tests.market import Market


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
    await market.commands.cancel(await market.poster_of(task), task, None)
    with pytest.raises(DatabaseError) as caught:
        await database.value("begin_funding", await market.poster_of(task), task)
    assert (caught.value.sqlstate, caught.value.constraint) == ("HX001", "TASK-TERMINAL")
    await database.close()


async def test_an_argument_of_the_wrong_type_is_no_absence(market: Market) -> None:
    """A defect of ours must not look like a server that is away."""
    with pytest.raises(DatabaseError, match="invalid UUID"):
        await market.store.value("live_view", "no uuid")
    with pytest.raises(Refusal):
        await market.queries.me(await market.task())  # type: ignore[arg-type]


async def test_a_value_that_postgres_cannot_take_is_a_refusal(market: Market) -> None:
    """Whether the driver or the server says so: class 22 blames who sent the value."""
    task = str(await market.task())
    poster = await market.poster_of(await market.task())
    for name, args in (
        ("create_task", (poster, '{"deadline": "2030-01-01T00:00:00+16:00"}')),
        ("create_task", (poster, '{"title": "a\\u0000b"}')),
        ("create_task", (poster, '{"price_cents": 1e300}')),
        ("create_task", (poster, "{")),
        ("create_task", (poster, "\ud800")),
        ("propose_price", (poster, task, 2**31)),
    ):
        with pytest.raises(Refusal) as caught:
            await market.store.value(name, *args)
        assert caught.value.kind.code == "VALIDATION_ERROR", args
