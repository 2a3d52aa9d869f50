"""A process that is told to end sends its sockets away in batches, and answers until then."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from gateway.contract import close_codes
from tests.gateway.server.test_serve import Serving, environ, serving

__all__ = ["environ"]

SOCKETS = 20


@pytest.fixture
def service(environ: dict[str, str]) -> Iterator[Serving]:
    """A service that takes two seconds to send its sockets away."""
    with serving(environ | {"HX_DRAIN_S": "2"}) as running:
        yield running


async def closed(socket: ClientConnection) -> int:
    """Waits until the service has closed a socket; the code that it gave."""
    await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


async def test_sockets_go_in_batches_and_requests_are_answered(service: Serving) -> None:
    """Not all at once, or they would all come back at once; and no balancer sends anybody new."""
    url = service.record("serving")["url"]
    socket_url = url.replace("http", "ws") + "/ws"
    async with AsyncExitStack() as stack, httpx.AsyncClient(base_url=url) as client:
        sockets = [
            await stack.enter_async_context(connect(socket_url, proxy=None)) for _ in range(SOCKETS)
        ]
        assert (await client.get("/readyz")).status_code == 200
        service.process.send_signal(signal.SIGTERM)
        leaving = [asyncio.create_task(closed(socket)) for socket in sockets]
        gone, staying = await asyncio.wait(leaving, return_when=asyncio.FIRST_COMPLETED)
        assert len(gone) < SOCKETS / 2
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert (await client.get("/livez")).status_code == 200
        with pytest.raises(InvalidStatus) as refused:
            await connect(socket_url, proxy=None)
        assert refused.value.response.status_code == 503
        assert any(not task.done() for task in staying)
        assert set(await asyncio.gather(*leaving)) == {close_codes.RESTARTING.code}
    lines = service.process.communicate(timeout=20)[1]
    assert service.process.returncode == 0
    records = [json.loads(line) for line in lines.splitlines()]
    assert [record for record in records if record["level"] not in {"info", "warning"}] == []
