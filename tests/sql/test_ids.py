"""Ids begin with their time (RFC 9562, version 7), by the clock that decides."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from tests.support.market import Market


async def test_a_hundred_thousand_ids_ascend_and_none_is_twice(market: Market) -> None:
    """To the quarter of a microsecond, which is finer than the clock; versions and variants fit."""
    before = await market.app.fetchval("select hx_clock()")
    rows = await market.app.fetch("select hx_id() as id from generate_series(1, 100000)")
    after = await market.app.fetchval("select hx_clock()")
    ids = [UUID(str(row["id"])) for row in rows]
    assert len(set(ids)) == len(ids)
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    times = [each.int >> 64 for each in ids]  # milliseconds, version, fraction
    assert times == sorted(times)
    assert int(before.timestamp() * 1000) <= times[0] >> 16
    assert times[-1] >> 16 <= int(after.timestamp() * 1000)
    assert len({each.int & (1 << 62) - 1 for each in ids}) == len(ids)


async def test_ids_follow_the_clock_that_decides(own_market: Market) -> None:
    """Also where it was moved; floor and time of an id are each other's inverse, to a millisecond."""
    for ahead in ("0", "1 hour", "1 year", "-2 years"):
        await own_market.advance(ahead)
        near: timedelta = await own_market.app.fetchval("select hx_clock() - id_time(hx_id())")
        assert timedelta(milliseconds=-1) <= near < timedelta(seconds=1)
    assert await own_market.app.fetchval(
        "select bool_and(id_time(id_floor(t.at)) = t.at and id_floor(t.at) < id_floor(t.at"
        " + interval '1 ms')) from generate_series('2020-01-01 UTC'::timestamptz,"
        " '2090-01-01 UTC', '97 days 1 hour 0.001 second') as t (at)"
    )


async def test_rows_of_all_tables_get_such_ids(market: Market) -> None:
    """No default makes another kind."""
    others = await market.owner.fetch(
        "select c.relname from pg_attrdef as d inner join pg_class as c on c.oid = d.adrelid"
        " where pg_get_expr(d.adbin, d.adrelid) ~ 'gen_random_uuid'"
        " and c.relnamespace = 'public'::regnamespace"
    )
    assert others == []
    task = await market.task()
    assert UUID(str(task)).version == 7
