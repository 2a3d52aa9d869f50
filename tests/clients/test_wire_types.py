"""The client's messages against `/asyncapi.json` of the service."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any
from uuid import UUID

import pytest

from hustlexp_client import Session
from hustlexp_client.decoding import BODIES
from tests.clients.network import Line, network
from tests.clients.wire_types import Contract, client_fields
from tests.support.service import Service

ANSWERS = {
    "SUBSCRIBE_LIVE_MODE": ("LIVE_MODE_STATE_CHANGE", {"state": "ACTIVE"}),
    "UNSUBSCRIBE_LIVE_MODE": ("LIVE_MODE_STATE_CHANGE", {"state": "OFF"}),
    "RESPOND_TO_BROADCAST": (
        "BROADCAST_RESPONSE",
        {"broadcast_id": str(UUID(int=5)), "outcome": "DECLINED"},
    ),
    "PING": ("PONG", {"timestamp": "2026-01-01T00:00:00Z", "last_seq": 0}),
}


@pytest.fixture(scope="session")
async def contract(service: Service) -> Contract:
    """What the service says of its socket."""
    return Contract((await service.http.get("/asyncapi.json")).json())


async def test_every_message_of_the_server_has_its_type_in_the_client(contract: Contract) -> None:
    """The same names, the same fields, what may be missing, JSON types with their enums; no more."""
    assert {
        name: client_fields(body) for name, body in BODIES.items()
    } == contract.server_messages()


async def test_every_message_of_the_client_fits_its_schema(contract: Contract) -> None:
    """All that a session sends, with and without what is optional."""
    sent: list[dict[str, Any]] = []
    beaten = asyncio.Event()

    async def script(line: Line) -> None:
        sent.append(await line.hear())
        await line.welcome(last_seq=0, heartbeat_s=1)
        while True:
            sent.append(message := await line.hear())
            if message["type"] == "PING":
                beaten.set()
            if message["type"] in ANSWERS:
                kind, data = ANSWERS[message["type"]]
                await line.say(kind, data, **({"id": message["id"]} if "id" in message else {}))

    for last_seq, extra in ((None, {}), (7, {"radius_miles": 3.5, "categories": ["moving"]})):
        async with (
            network(script) as url,
            Session(url, "token", last_seq=last_seq, rng=Random(5)) as session,
        ):
            await session.ready()
            await session.go_live(45.0, -120.0, **extra)  # type: ignore[arg-type]
            await session.move(45.1, -120.1)
            await session.respond(UUID(int=5), "DECLINE", "Too far." if extra else None)
            await session.go_off()
            await beaten.wait()

    assert {message["type"] for message in sent} == {*ANSWERS, "AUTH", "UPDATE_LOCATION"}
    assert [contract.misfit(message) for message in sent] == [None] * len(sent)
