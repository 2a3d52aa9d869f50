"""Servers of the libraries alone: `python -m bench.gateway.plain uvicorn|starlette|websockets|picows`.

Each counts the text messages that it gets, and sends the same bytes to everybody. It imports only
what its kind needs, so that an interpreter with nothing but that library can run it as a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from serving import obey  # type: ignore[import-not-found]

PAYLOAD = b"x" * 491


class Plain:
    """What is counted and sent, whatever the library is."""

    def __init__(self) -> None:
        self.messages = 0
        self.sockets: list[Any] = []

    async def count(self, _: int) -> object:
        """Messages that were taken, and the CPU time until now."""
        return {"messages": self.messages, "cpu_s": time.process_time()}

    def sending(self, send_all: Callable[[], Any]) -> Callable[[int], Any]:
        """The command that sends the same bytes to everybody."""

        async def same(rounds: int) -> object:
            began = time.process_time()
            for _ in range(rounds):
                sent = send_all()
                if sent is not None:
                    await sent
                await asyncio.sleep(0)
            return {"cpu_s": time.process_time() - began}

        return same


async def _uvicorn(plain: Plain) -> None:
    async def application(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        plain.sockets.append(send)
        while (await receive())["type"] == "websocket.receive":
            plain.messages += 1

    async def send_all() -> None:
        for send in plain.sockets:
            await send({"type": "websocket.send", "text": PAYLOAD.decode()})

    await _served(plain, application, send_all)


async def _starlette(plain: Plain) -> None:
    from starlette.applications import Starlette  # noqa: PLC0415 - only this kind has it
    from starlette.routing import WebSocketRoute  # noqa: PLC0415
    from starlette.websockets import WebSocket, WebSocketDisconnect  # noqa: PLC0415

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        plain.sockets.append(socket)
        with contextlib.suppress(WebSocketDisconnect):
            while await socket.receive_text():
                plain.messages += 1

    async def send_all() -> None:
        for socket in plain.sockets:
            await socket.send_text(PAYLOAD.decode())

    await _served(plain, Starlette(routes=[WebSocketRoute("/ws", endpoint)]), send_all)


async def _served(plain: Plain, application: Any, send_all: Callable[[], Any]) -> None:
    from uvicorn.config import Config  # noqa: PLC0415
    from uvicorn.server import Server  # noqa: PLC0415

    config = Config(
        application,
        interface="asgi3",
        port=0,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        lifespan="off",
        log_level="critical",
        proxy_headers=False,
        backlog=4_096,
    )
    server = Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    await obey(port, {"count": plain.count, "same": plain.sending(send_all)})


async def _websockets(plain: Plain) -> None:
    from websockets.asyncio.server import ServerConnection, broadcast, serve  # noqa: PLC0415
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

    async def endpoint(socket: ServerConnection) -> None:
        plain.sockets.append(socket)
        with contextlib.suppress(ConnectionClosed):
            async for _ in socket:
                plain.messages += 1

    def send_all() -> None:
        broadcast(plain.sockets, PAYLOAD.decode())

    async with serve(
        endpoint, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4_096
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        await obey(port, {"count": plain.count, "same": plain.sending(send_all)})


async def _picows(plain: Plain) -> None:
    import picows  # type: ignore[import-not-found]  # noqa: PLC0415

    class Listener(picows.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: Any) -> None:
            plain.sockets.append(transport)

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.TEXT:
                frame.get_payload_as_utf8_text()
                plain.messages += 1
            elif frame.msg_type == picows.WSMsgType.CLOSE:
                transport.disconnect()

    def send_all() -> None:
        for transport in plain.sockets:
            transport.send(picows.WSMsgType.TEXT, PAYLOAD)

    server = await picows.ws_create_server(
        lambda _: Listener(), "127.0.0.1", 0, websocket_handshake_timeout=30, backlog=4_096
    )
    port = server.sockets[0].getsockname()[1]
    await obey(port, {"count": plain.count, "same": plain.sending(send_all)})


def main(kind: str) -> None:
    """Serves until the input ends."""
    plain = Plain()
    kinds = {
        "uvicorn": lambda: _uvicorn(plain),
        "starlette": lambda: _starlette(plain),
        "websockets": lambda: _websockets(plain),
        "picows": lambda: _picows(plain),
    }
    uvloop.run(kinds[kind]())


if __name__ == "__main__":
    main(sys.argv[1])
