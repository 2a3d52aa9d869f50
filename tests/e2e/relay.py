"""A relay in front of Valkey, so that a test can cut one service off from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Relay:
    """Passes bytes between TCP and a server's Unix socket, unless it is cut."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._open: set[asyncio.StreamWriter] = set()
        self.cut = False

    def cut_off(self) -> None:
        """Ends every connection; new ones end at once."""
        self.cut = True
        for writer in self._open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relays one connection until either side ends it."""
        if self.cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_unix_connection(self._path)
        ends = (writer, back)
        self._open.update(ends)
        try:
            await asyncio.gather(_pass(reader, back), _pass(there, writer))
        finally:
            self._open.difference_update(ends)
            for end in ends:
                end.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while read := await reader.read(65_536):
            writer.write(read)
    except ConnectionError:
        pass
    writer.transport.abort()


@asynccontextmanager
async def relayed(url: str) -> AsyncIterator[tuple[Relay, str]]:
    """The relay, and the URL of the server behind it."""
    parts = urlsplit(url)
    relay = Relay(parts.path)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    number = parts.query.removeprefix("db=")
    try:
        yield relay, f"redis://:{parts.password}@127.0.0.1:{port}/{number}"
    finally:
        relay.cut_off()
        server.close()
