"""kill -9 of PostgreSQL, Valkey and the service in mid-broadcast: everything recovers by itself.

No second card, no second winner, no lost event, no offer lost for good.
`make test` kills each once, `make test-long` ten times.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.crash.service_process import ServiceProcess, Victim
from tests.crash.socket_client import SocketClient

LAT, LNG = 37.7749, -122.4194
FAIR_S = 25.0
"""Within this time everything must have recovered; not a figure, only the end of patience."""
VICTIMS: tuple[Victim, ...] = ("service", "postgres", "valkey")
PARTS = (
    "gateway",
    *(
        pytest.param(rarely, marks=pytest.mark.long)
        for rarely in ("broadcaster", "worker", "postgres", "valkey")
    ),
)
"""Of a service of several processes."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.long)])
async def test_a_killed_part_costs_nothing(tmp_path: Path, victim: Victim, kills: int) -> None:
    """Before, while and after the offers go out, and while all accept at once."""
    await _kill_often(ServiceProcess(tmp_path / "service"), victim, kills)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("victim", PARTS)
@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.long)])
async def test_a_killed_process_of_several_costs_nothing(
    tmp_path: Path, victim: Victim, kills: int
) -> None:
    """The same where sockets, broadcasts and timers are in processes of their own."""
    await _kill_often(ServiceProcess(tmp_path / "service", workers=2), victim, kills)


async def _kill_often(starting: ServiceProcess, victim: Victim, kills: int) -> None:
    rng = random.Random(f"{victim} {kills}")
    async with starting as service_process, AsyncExitStack() as stack:
        (poster,) = await _clients(service_process, stack, "poster", 1)
        token = poster.token
        hustlers = await _clients(service_process, stack, "hustler", kills + 3)
        for n, hustler in enumerate(hustlers):
            reply = await hustler.ask(
                "SUBSCRIBE_LIVE_MODE", {"location": {"lat": LAT + n * 0.001, "lng": LNG}}
            )
            assert reply["data"]["state"] == "ACTIVE"
        # two accepts in a session end in a rest, so each may win once
        contenders = list(hustlers)
        for kill in range(kills):
            task = await _posted(service_process, token)
            early = kill % 2 == 0
            funding = asyncio.create_task(service_process.post(token, f"/v1/tasks/{task}/fund", {}))
            if early:
                await asyncio.sleep(rng.uniform(0, 0.15))
                await service_process.kill(victim)
            await funding
            broadcast = await _broadcast_of(service_process, task)
            await _until(partial(_all_know, contenders, broadcast), "offers seen")

            accepts = [
                asyncio.create_task(
                    h.ask("RESPOND_TO_BROADCAST", {"broadcast_id": broadcast, "response": "ACCEPT"})
                )
                for h in contenders
            ]
            if not early:
                await asyncio.sleep(rng.uniform(0, 0.02))
                await service_process.kill(victim)
            outcomes = [(await a)["data"].get("outcome") for a in accepts]
            assert outcomes.count("WON") == 1, outcomes
            assert outcomes.count("TAKEN") == len(outcomes) - 1, outcomes
            await _until(partial(_assigned, poster, task), "poster told")
            contenders.pop(outcomes.index("WON"))
            await service_process.post(token, f"/v1/tasks/{task}/cancel", {"reason": "next round"})

        await _check(service_process, [poster, *hustlers], kills)


async def _check(service_process: ServiceProcess, clients: list[SocketClient], kills: int) -> None:
    winners = await service_process.rows(
        "select task_id, count(*) as n from task_transitions where to_state = 'ACCEPTED' group by 1"
    )
    assert [row["n"] for row in winners] == [1] * kills
    for client in clients:
        (row,) = await service_process.rows(
            "select last_seq from user_counters where user_id = $1::text::uuid", client.user_id
        )
        expected = list(range(1, row["last_seq"] + 1))
        await _until(lambda p=client, e=expected: p.seqs == e, f"{client.seqs} == {expected}")
        assert max(client.cards.values(), default=0) <= 1, client.cards


async def _clients(
    service_process: ServiceProcess, stack: AsyncExitStack, role: str, count: int
) -> list[SocketClient]:
    return [
        await stack.enter_async_context(
            SocketClient(service_process.urls["ws_url"], made["token"], made["user_id"])
        )
        for made in await service_process.tokens(role, count)
    ]


async def _posted(service_process: ServiceProcess, token: str) -> str:
    body: dict[str, Any] = {
        "mode": "LIVE", "title": "Hang a door", "description": "It came off.",
        "category": "handyman", "price_cents": 4000, "location": {"lat": LAT, "lng": LNG},
    }  # fmt: skip
    return str((await service_process.post(token, "/v1/tasks", body))["id"])


async def _broadcast_of(service_process: ServiceProcess, task: str) -> str:
    (row,) = await service_process.rows(
        "select id from live_broadcasts where task_id = $1::text::uuid", task
    )
    return str(row["id"])


def _all_know(hustlers: list[SocketClient], broadcast: str) -> bool:
    return all(broadcast in hustler.known for hustler in hustlers)


def _assigned(poster: SocketClient, task: str) -> bool:
    return any(
        event["type"] == "JOB_ASSIGNED" and event["data"]["task_id"] == task
        for event in poster.events
    )


async def _until(condition: Any, what: str) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + FAIR_S
    while not condition():
        assert loop.time() < end, what
        await asyncio.sleep(0.02)
