"""Clients that read slowly, say nothing, or ask for more than can be answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from gateway.contract import limits
from gateway.session.connection import Connection
from tests.support.service import Client, Service, User, joined, open_client

EVENTS, EVENT_BYTES = 2_500, 1_000


def narrow_socket(service: Service) -> socket.socket:
    """A connection with a receive buffer of a few KiB."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    host, port = service.url.removeprefix("http://").split(":")
    sock.connect((host, int(port)))
    sock.setblocking(False)
    return sock


async def missed(service: Service, user: User) -> None:
    """The user misses 2.5 MB of events."""
    await service.owner.execute(
        "select append_events(jsonb_agg(hx_event($1, 'NUDGE',"
        " jsonb_build_object('kind', 'x', 'text', repeat('y', $2)))))"
        " from generate_series(1, $3)",
        user.user_id,
        EVENT_BYTES,
        EVENTS,
    )


async def until(is_so: Callable[[], bool]) -> None:
    """Waits for something that nothing tells of."""
    for _ in range(2_000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def connection_of(service: Service, user: User) -> Connection:
    """The user's one connection, once it is authenticated."""
    await until(lambda: bool(service.parts.hub.registry.sockets(user.user_id)))
    (connection,) = service.parts.hub.registry.sockets(user.user_id)
    return connection


async def heard(client: Client) -> list[int]:
    """The events of a resume, up to WELCOME."""
    seqs = []
    while (message := await client.hear())["type"] != "WELCOME":
        seqs.append(message["seq"])
    return seqs


async def test_a_resume_of_megabytes_arrives_in_portions(service: Service) -> None:
    """Whole and in order, and never much of it waits in the process."""
    user, most_unsent = await service.user(), 0
    await missed(service, user)
    options = {"sock": narrow_socket(service), "max_queue": 1}

    async def watch() -> None:
        nonlocal most_unsent
        connection = await connection_of(service, user)
        while not connection.gone:
            most_unsent = max(most_unsent, connection.transport.unsent_bytes())
            await asyncio.sleep(0)

    async with open_client(service, **options) as client:
        watching = asyncio.create_task(watch())
        await client.say("AUTH", {"token": user.token, "last_seq": 0})
        assert await heard(client) == list(range(1, EVENTS + 1))
        watching.cancel()
    page_bytes = 200 * (EVENT_BYTES + 100)
    assert most_unsent < limits.CLOGGED_OUTBOUND_BYTES + page_bytes


async def test_an_open_session_that_reads_late_gets_its_events_when_it_has_read_on(
    service: Service,
) -> None:
    """What does not fit waits in the log, not in the process; nothing is lost, nobody is cut."""
    user = await service.user()
    options = {"sock": narrow_socket(service), "max_queue": 1}
    async with open_client(service, **options) as client:
        await client.auth(user)
        connection = await connection_of(service, user)
        await missed(service, user)
        await until(lambda: connection.clogged)
        seqs = [(await client.hear())["seq"] for _ in range(EVENTS)]
        assert seqs == list(range(1, EVENTS + 1))
        assert not connection.gone


async def test_who_takes_nothing_of_a_resume_is_cut(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slow is who makes no progress."""
    monkeypatch.setattr(limits, "MAX_OUTBOUND_STALL_S", 0.5)
    user = await service.user()
    await missed(service, user)
    options = {"sock": narrow_socket(service), "max_queue": 1, "close_timeout": 0.1}
    async with open_client(service, **options) as client:
        await client.say("AUTH", {"token": user.token, "last_seq": 0})
        connection = await connection_of(service, user)
        await until(lambda: connection.gone)
        assert connection.cut_for == "slow"


async def test_a_client_that_only_answers_pings_keeps_its_session(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any frame is a sign of life; who does not even answer a ping is cut."""
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.5)
    monkeypatch.setattr(limits, "HEARTBEAT_SLACK_S", 2.0)
    plain, dead = await service.user(), await service.user()
    async with joined(service, plain) as client:
        async with open_client(service, close_timeout=0.1) as deaf:
            await deaf.auth(dead)
            connection = await connection_of(service, dead)
            deaf.wire.transport.pause_reading()
            await until(lambda: connection.gone)
            assert connection.cut_for == "silent"
        assert (await client.ask("PING"))["type"] == "PONG"
