"""The peer: a plain `websockets` server that welcomes whoever says anything, and knows nobody.

`python -m bench.storm.peer` prints its port and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

import uvloop
from websockets.asyncio.server import ServerConnection, serve

BACKLOG: Final = 2_048
WELCOME: Final = '{"type":"WELCOME","data":{"last_seq":0}}'


async def _greet(socket: ServerConnection) -> None:
    await socket.recv()
    await socket.send(WELCOME)
    await socket.wait_closed()


async def _serve() -> None:
    async with serve(
        _greet, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=BACKLOG
    ) as server:
        # as the service does: no collection looks at thousands of sockets again and again
        gc.freeze()
        gc.set_threshold(50_000, 20, 1_000)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve())
