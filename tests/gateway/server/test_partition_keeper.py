"""The service keeps partitions by itself."""

from __future__ import annotations

import asyncio

from tests.support.service import Service


async def test_a_running_service_makes_the_months_ahead(service: Service) -> None:
    """One that is not there is there again within a round or two, and nobody asked."""
    month = await service.owner.fetchval(
        "select partition_name('user_events', month_of(hx_clock() + interval '2 months'))"
    )
    await service.owner.execute(f"drop table partitions.{month}")
    there = "select to_regclass('partitions.' || $1::text) is not null"
    async with asyncio.timeout(60):
        while not await service.owner.fetchval(there, month):  # noqa: ASYNC110 - of the database
            await asyncio.sleep(0.1)
