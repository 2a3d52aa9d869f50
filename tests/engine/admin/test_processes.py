"""Who runs, and which settings are not the same everywhere."""

from __future__ import annotations

import asyncio
import os
import socket
from uuid import uuid4

import msgspec
from structlog.testing import capture_logs

from engine.admin.processes import Processes, SettingsGroup, differences, running_processes
from gateway.settings.groups import Settings
from gateway.settings.loading import catalogue
from gateway.settings.shared import SHARED, shared_settings
from tests.engine.money import clock
from tests.support.market import Market

CODE_KEY, OTHER_KEY = "k" * 40, "l" * 40


def loaded(**more: str) -> dict[str, SettingsGroup]:
    """What a process with this environment reports."""
    environ = {"HX_CODE_KEY": CODE_KEY, "HX_REDIS_URL": "redis://:hunter2@valkey", **more}
    return shared_settings(Settings.load(environ))


def process(market: Market, settings: dict[str, SettingsGroup], role: str = "worker") -> Processes:
    """One more process on this database."""
    return Processes(market.store, settings, role=role, release="1.0", process=uuid4())


async def test_who_runs_is_listed_until_it_was_not_heard_of_for_twenty_seconds(
    own_market: Market,
) -> None:
    """By the database's clock, with role, host, release and start; a missed report is no death."""
    await clock.stop(own_market.owner)
    first, second = process(own_market, loaded()), process(own_market, loaded(), "gateway")
    await first.report()
    await clock.advance(own_market.owner, 5)
    running = await second.report()
    where = f"{socket.gethostname()}:{os.getpid()}"
    assert [one.name for one in running] == [f"worker {where}", f"gateway {where}"]
    assert [one.release for one in running] == ["1.0", "1.0"]
    assert (running[1].seen_at - running[0].seen_at).total_seconds() == 5
    await clock.advance(own_market.owner, 15)
    assert len(await running_processes(own_market.store)) == 2
    await clock.advance(own_market.owner, 0.001)
    assert len(await running_processes(own_market.store)) == 1
    assert [one.role for one in await second.report()] == ["gateway"]
    assert await own_market.app.fetchval("select count(*) from processes") == 1
    # It was only slow: the list has it again, since it began and not since it came back.
    back = await first.report()
    assert [(one.role, one.started_at) for one in back] == [
        (one.role, one.started_at) for one in running
    ]


async def test_a_process_that_ends_takes_its_row_away(own_market: Market) -> None:
    """Nobody waits for it to be missed."""
    running = asyncio.create_task(process(own_market, loaded()).run())
    async with asyncio.timeout(10):
        while True:
            if await running_processes(own_market.store):
                break
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait({running})
    assert await own_market.app.fetchval("select count(*) from processes") == 0


async def test_a_setting_that_differs_is_said_once_with_its_values(own_market: Market) -> None:
    """By the process that comes and by those that are there; what belongs to one may differ."""
    first = process(own_market, loaded(HX_PORT="1"))
    second = process(own_market, loaded(HX_PORT="2", HX_BROADCAST_TTL_S="300"), "gateway")
    with capture_logs() as logs:
        for one in (first, second, first, second, first):
            running = await one.report()
    logged = [entry["sentence"] for entry in logs if entry["event"] == "settings_differ"]
    where = f"{socket.gethostname()}:{os.getpid()}"
    sentence = f"HX_BROADCAST_TTL_S is 600 in worker {where}; 300 in gateway {where}"
    assert logged == [sentence] * 2
    assert [str(one) for one in differences(running)] == [sentence]


async def test_a_secret_that_differs_is_named_and_never_shown(own_market: Market) -> None:
    """Neither in the database nor in what is said."""
    for settings in (loaded(), loaded(HX_CODE_KEY=OTHER_KEY)):
        running = await process(own_market, settings).report()
    (found,) = differences(running)
    assert found.what == "HX_JWT_ISSUERS or HX_CODE_KEY"
    assert [*found.by_value] == ["secret no. 1", "secret no. 2"]
    stored = await own_market.app.fetchval("select string_agg(settings::text, '') from processes")
    for secret in (CODE_KEY, OTHER_KEY, "hunter2"):
        assert secret not in stored + str(found)


async def test_a_setting_that_another_release_does_not_know_is_no_difference(
    own_market: Market,
) -> None:
    """Two releases run side by side while one takes the other's place."""
    groups = {name: group for name, group in loaded().items() if name != "photos"}
    running = []
    for settings in (loaded(), groups):
        running = await process(own_market, settings).report()
    assert differences(running) == []


def test_every_shared_setting_is_one_and_stands_in_one_group() -> None:
    """A secret is part of the digest alone."""
    names = [name for group in SHARED.values() for name in group]
    items = {item.name: item for item in catalogue(Settings)}
    assert len(names) == len(set(names))
    assert set(names) <= items.keys()
    groups = loaded()
    for group, names_of in SHARED.items():
        assert {*groups[group].values, *groups[group].secrets} == set(names_of)
    assert (
        groups["tokens and codes"].digest
        != loaded(HX_CODE_KEY=OTHER_KEY)["tokens and codes"].digest
    )
    assert msgspec.json.encode(groups) == msgspec.json.encode(loaded())
