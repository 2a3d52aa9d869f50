"""What is closed or answered dies by reference count: nothing is left to the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import http.client
import sys
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
import uvloop

from gateway.http.transport.protocol import GatewayHttpProtocol
from gateway.session.connection import Connection
from gateway.session.session import Session
from gateway.session.transport import GatewayWebSocketProtocol
from gateway.ws.request_queue import RequestQueue
from tests.crash.service_process import ServiceProcess
from tests.gateway.ws.raw_socket import ENDINGS, Ending, connect_and
from tests.support.service import Service, running

CONNECTS = 2_400
CLIENTS = 20
"""Who connect at once: a session waits 10 ms for others to share its snapshot's query."""
PER_CONNECTION = (Session, Connection, RequestQueue, GatewayWebSocketProtocol, GatewayHttpProtocol)


class ServiceThread:
    """The service on a loop of its own, the one it has in production."""

    def __init__(self, *opens: Any) -> None:
        self._opens = opens
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(30)

    async def _serve(self) -> None:
        async with running(*self._opens) as self.service:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            self._ready.set()
            await self._stop.wait()

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine returns there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.service.url.rpartition(":")[2])

    def close(self) -> None:
        """Ends the service."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@pytest.fixture(scope="module")
def thread(
    database_dsn: str, owner_dsn: str, valkey_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceThread]:
    """One service for this module."""
    thread = ServiceThread(database_dsn, owner_dsn, valkey_url, tmp_path_factory.mktemp("data"))
    yield thread
    thread.close()


@contextmanager
def uncollected() -> Iterator[Counter[str]]:
    """Runs a block without the collector; then how many more objects of each type there are.

    Counted, not collected: a generator in a cycle ends itself before the collector tells of it.
    """
    grown: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    before = types()
    try:
        yield grown
        grown.update(types() - before)
    finally:
        gc.enable()


def closed(service: Service) -> None:
    """Waits until the service has noticed that all its sockets are closed."""
    while len(service.parts.hub.registry):
        time.sleep(0.01)
    time.sleep(0.2)  # the transport goes one turn of the loop after its session


def alive() -> Counter[str]:
    """How many objects of each kind that a connection has there are, without a collection."""
    return Counter(
        type(o).__name__ for o in gc.get_objects() if issubclass(type(o), PER_CONNECTION)
    )


def types() -> Counter[str]:
    """How many objects of each type there are."""
    return Counter(type(o).__qualname__ for o in gc.get_objects())


def test_however_a_session_ends_it_leaves_nothing_to_collect(thread: ServiceThread) -> None:
    """Without a single collection no connection is alive, and nothing has grown by one for each."""
    tokens = [thread.call(thread.service.user()).token for _ in range(CLIENTS)]

    def connect_all(ending: Ending, times: int) -> None:
        ports = [thread.port] * CLIENTS
        for _ in range(times):
            list(clients.map(connect_and, [ending] * CLIENTS, ports, tokens))
        closed(thread.service)

    with ThreadPoolExecutor(CLIENTS) as clients:
        for ending in ENDINGS:  # what is made once: caches, prepared statements, threads
            connect_all(ending, 3)
        others = alive()  # of services that this process runs for other tests
        with uncollected() as grown:
            for ending in ENDINGS:
                connect_all(ending, CONNECTS // CLIENTS // len(ENDINGS))
                assert not alive() - others, ending
    assert grown.total() < CONNECTS, grown.most_common(8)


def test_a_request_leaves_nothing_to_collect(thread: ServiceThread) -> None:
    """Answered, refused or given up by its client: nothing has grown by one for each of 900."""
    token = thread.call(thread.service.user()).token
    asks: list[tuple[str, str, dict[str, str], str | None]] = [
        ("GET", "/v1/me", {"Authorization": f"Bearer {token}"}, None),
        ("GET", "/v1/me", {}, None),
        ("GET", "/nowhere", {}, None),
        ("POST", "/v1/tasks", {"Authorization": f"Bearer {token}"}, "{}"),
        ("GET", "/metrics", {}, None),
    ]

    def ask_all(times: int) -> None:
        for ask in asks * times:
            client = http.client.HTTPConnection("127.0.0.1", thread.port, timeout=10)
            method, path, headers, body = ask
            client.request(method, path, headers=headers, body=body)
            client.getresponse().read()
            client.close()
            client.request("GET", "/v1/events?wait=1", headers=headers)
            client.close()

    ask_all(2)
    closed(thread.service)
    time.sleep(1.5)  # a poll is answered even where its client may read no more
    others = alive()
    with uncollected() as grown:
        ask_all(90)
        time.sleep(1.5)
        assert not alive() - others
    assert grown.total() < 900, grown.most_common(8)


@pytest.mark.long
async def test_memory_stays_flat_over_a_hundred_thousand_connects(tmp_path: Path) -> None:
    """In a process of its own: what it has after 20,000 is what it has after 100,000."""
    random, connects, block = Random(29), 100_000, 10_000
    async with ServiceProcess(tmp_path) as service:
        port = int(service.urls["url"].rpartition(":")[2])
        tokens = [person["token"] for person in await service.tokens("hustler", 200)]
        process = psutil.Process(service.pid)
        rss_mb: list[float] = []
        with ThreadPoolExecutor(8) as clients:
            for done in range(block, connects + 1, block):
                endings = [random.choice(ENDINGS) for _ in range(block)]
                chosen = [random.choice(tokens) for _ in range(block)]
                sessions = clients.map(connect_and, endings, [port] * block, chosen)
                await asyncio.to_thread(list, sessions)
                rss_mb.append(process.memory_info().rss / 2**20)
                sys.stderr.write(f"{done:,} connects: {rss_mb[-1]:.1f} MiB\n")
    assert rss_mb[-1] < rss_mb[1] + 8.0, rss_mb
