"""One server of Redis or Valkey: packed pipelines over few connections, with its scripts.

Commands go out packed and replies come back as hiredis parses them, chunk by chunk as they arrive;
the client's own pipeline costs twice the time for a few hundred replies (measured).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

import hiredis
from redis import exceptions as refusals
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.asyncio import Connection

CHUNK_BYTES: Final = 64 * 1024  # about a thousand records: what is parsed without giving way

LOST: Final = (
    refusals.ConnectionError,
    refusals.TimeoutError,
    refusals.InvalidResponse,
    OSError,
)
"""What an exchange raises that broke off; a server that is still loading counts among them."""

Argument = bytes | str | int


class Script:
    """A Lua script, one or several files joined, addressed by the hash of its text."""

    def __init__(self, *paths: Path) -> None:
        self.text = b"\n".join(path.read_bytes() for path in paths)
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest().encode()


def packed(*arguments: Argument) -> bytes:
    """Returns one command as it goes over the wire.

    Raises TypeError for anything but bytes, str and int: a numpy scalar is a float to isinstance,
    and would be sent as its repr.
    """
    for argument in arguments:
        if type(argument) not in _PLAIN:
            raise TypeError(f"{type(argument).__name__} cannot be sent")
    command: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]
    return command


_PLAIN: Final = frozenset({bytes, str, int})


class ValkeyServer:
    """A client of one server, as many pipelines at a time as it has connections."""

    def __init__(self, connections: Sequence[Connection], scripts: Sequence[Script]) -> None:
        self._connections = connections
        self._scripts = scripts
        self._idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for connection in connections:
            self._idle.put_nowait(connection)

    async def exchange(self, commands: bytes, replies: int) -> tuple[list[Any], bool]:
        """Sends packed commands; returns so many replies, and whether errors are among them.

        Where the server does not know a script, all are loaded and everything is sent again.
        Raises one of `LOST`.
        """
        async with self._connection() as connection:
            answers, errors = await _exchange(connection, commands, replies)
            if any(isinstance(error, refusals.NoScriptError) for error in errors):
                # The server is new or was flushed; the commands may run twice, so all go again.
                load = b"".join(packed(b"SCRIPT", b"LOAD", script.text) for script in self._scripts)
                await _exchange(connection, load, len(self._scripts))
                answers, errors = await _exchange(connection, commands, replies)
        return answers, bool(errors)

    async def close(self) -> None:
        """Closes every connection."""
        for connection in self._connections:
            await connection.disconnect()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Lends a connection; closes one whose exchange broke off with half a reply unread."""
        connection = await self._idle.get()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            yield connection
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        finally:
            self._idle.put_nowait(connection)


async def _exchange(
    connection: Connection, commands: bytes, replies: int
) -> tuple[list[Any], list[Exception]]:
    """Sends, reads so many replies and returns them, and once more the errors among them.

    The replies are taken from the connection's own stream and parser, a chunk at a time: calling
    its `read_response` for each took a third of the time of a large read (measured).
    """
    await connection.send_packed_command(commands, check_health=False)
    stream: Any = connection._reader  # noqa: SLF001 - the version is capped for this
    parser: Any = connection._parser._reader  # type: ignore[attr-defined]  # noqa: SLF001
    take = parser.gets
    answers: list[Any] = []
    for _ in range(replies):
        while (answer := take(False)) is NOT_ENOUGH_DATA:
            chunk = await stream.read(CHUNK_BYTES)
            if not chunk:
                raise refusals.ConnectionError("closed by the server")
            parser.feed(chunk)
        answers.append(answer)
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    for error in errors:
        if isinstance(error, refusals.ConnectionError):
            raise error  # it is loading its data
    return answers, errors
