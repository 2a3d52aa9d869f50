"""A scripted server: it plays the far end of the network, so that every accident can be staged."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from websockets.asyncio.server import ServerConnection, serve

Script = Callable[["Line"], Awaitable[None]]
USER = UUID(int=7)


class Line:
    """One connection of the client under test, seen from the server."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.auth: dict[str, Any] = {}

    async def hear(self) -> dict[str, Any]:
        """The client's next message."""
        message: dict[str, Any] = json.loads(await self._socket.recv())
        return message

    async def hear_auth(self) -> dict[str, Any]:
        """The data of AUTH, which must come first."""
        message = await self.hear()
        assert message["type"] == "AUTH"
        self.auth = message["data"]
        return self.auth

    async def say(self, kind: str, data: Any = None, **envelope: Any) -> None:
        """Send one message."""
        await self._socket.send(json.dumps({"type": kind, "data": data or {}, **envelope}))

    async def welcome(self, *, last_seq: int, heartbeat_s: int = 30, **more: Any) -> None:
        """Let the client in."""
        await self.say(
            "WELCOME",
            {
                "protocol": 1,
                "session_id": str(UUID(int=1)),
                "user_id": str(USER),
                "heartbeat_seconds": heartbeat_s,
                "server_time": "2026-01-01T00:00:00Z",
                "last_seq": last_seq,
                "live": {"state": "OFF"},
                "offers": [],
                "tasks": [],
                **more,
            },
        )

    async def event(self, seq: int) -> None:
        """A durable event."""
        await self.say("NUDGE", {"kind": "rest", "text": str(seq)}, seq=seq)

    async def close(self, code: int) -> None:
        """End the connection with a close code."""
        await self._socket.close(code)

    def cut(self) -> None:
        """End the connection as a tunnel does."""
        self._socket.transport.abort()

    async def stay(self) -> None:
        """Do nothing until the client goes."""
        await self._socket.wait_closed()


@asynccontextmanager
async def network(*scripts: Script) -> AsyncIterator[str]:
    """The URL of a server that plays one script for each connection, the last one for ever."""
    waiting = list(scripts)

    async def handle(socket: ServerConnection) -> None:
        script = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        await script(Line(socket))

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/ws"
