"""The client for Redis or Valkey: pipelines with a deadline over few connections, one exception.

Commands go out packed and replies come back as hiredis parses them; the client's own pipeline costs
twice the time for a few hundred replies (measured).
A lost connection is tried again until the deadline, so **every command sent here must be harmless
when it runs twice**.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

import hiredis
from redis import exceptions as refusals
from redis.asyncio import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

CONNECTIONS: Final = 8
DEADLINE_S: Final = 1.0  # of one pipeline, waiting for a connection and all attempts included
FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 0.2

# Errors of a server that cannot serve just now: handled as unavailable.
_UNFIT: Final = (
    refusals.OutOfMemoryError,
    refusals.ReadOnlyError,
    refusals.ClusterDownError,
    refusals.TryAgainError,
)
_LOST: Final = (
    refusals.ConnectionError,
    refusals.TimeoutError,
    refusals.InvalidResponse,
    OSError,
)

Argument = bytes | str | int


class ValkeyAway(Exception):
    """Raised when the server gave no usable answer in time; the commands may have run."""


class Script:
    """A Lua script, addressed by the hash of its text."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_bytes()
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


class Valkey:
    """A client of one server, up to eight pipelines at a time."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections
        self._scripts: list[Script] = []
        self._idle: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for connection in connections:
            self._idle.put_nowait(connection)

    def add_scripts(self, scripts: Sequence[Script]) -> None:
        """Registers scripts to load whenever the server turns out not to know them."""
        self._scripts.extend(scripts)

    async def run(
        self, commands: bytes, replies: int, *, deadline_s: float = DEADLINE_S
    ) -> list[Any]:
        """Sends packed commands in one go and returns their replies in order.

        Raises `ValkeyAway`, and a ResponseError unchanged when a command itself was wrong.
        """
        if not replies:
            return []
        pause_s = FIRST_PAUSE_S
        cause: Exception | None = None
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    try:
                        return await self._attempt(commands, replies)
                    except (*_LOST, *_UNFIT) as error:
                        cause = error
                        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                        pause_s = min(2.0 * pause_s, LONGEST_PAUSE_S)
        except TimeoutError as error:
            why = f": {cause}" if cause else ""
            raise ValkeyAway(f"no answer within {deadline_s} s{why}") from error

    async def one(self, *arguments: Argument) -> Any:
        """Runs one command and returns its reply."""
        (reply,) = await self.run(packed(*arguments), 1)
        return reply

    async def ping(self) -> None:
        """Returns when the server answers; raises `ValkeyAway`."""
        await self.one(b"PING")

    async def facts(self) -> dict[str, str]:
        """Returns the server's INFO; raises `ValkeyAway`, also where INFO is not permitted."""
        try:
            info: bytes = await self.one(b"INFO")
        except refusals.ResponseError as error:
            raise ValkeyAway(str(error)) from error
        return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)

    async def close(self) -> None:
        """Closes every connection."""
        for connection in self._connections:
            await connection.disconnect()

    async def _attempt(self, commands: bytes, replies: int) -> list[Any]:
        async with self._connection() as connection:
            answers = await _exchange(connection, commands, replies)
            if any(isinstance(answer, refusals.NoScriptError) for answer in answers):
                # The server is new or was flushed; the commands may run twice, so all go again.
                load = b"".join(packed(b"SCRIPT", b"LOAD", script.text) for script in self._scripts)
                await _exchange(connection, load, len(self._scripts))
                answers = await _exchange(connection, commands, replies)
            for answer in answers:
                if isinstance(answer, _UNFIT):
                    raise answer
        for answer in answers:
            if isinstance(answer, refusals.ResponseError):
                raise answer
        return answers

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


def open_valkey(url: str, *, connections: int = CONNECTIONS) -> Valkey:
    """Returns a client for redis://, rediss:// or unix:// `url`; it connects when first used."""
    pool = ConnectionPool.from_url(
        url,
        retry=Retry(NoBackoff(), 0),  # `run` is the one place that tries again
        socket_timeout=None,  # and the one that watches the time
        socket_connect_timeout=DEADLINE_S,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    make = pool.make_connection
    return Valkey([make() for _ in range(connections)])  # type: ignore[no-untyped-call]


async def _exchange(connection: Connection, commands: bytes, replies: int) -> list[Any]:
    """Sends, reads so many replies and returns them, errors among them included."""
    await connection.send_packed_command(commands, check_health=False)
    answers: list[Any] = []
    read = connection.read_response
    for _ in range(replies):
        try:
            answers.append(await read(disable_decoding=True, disconnect_on_error=False))
        except refusals.ResponseError as error:
            answers.append(error)
    return answers
