"""Lanes: channels of sharded publish and subscribe, spread over the servers of a cluster.

A message is delivered at most once, to whoever listens at that moment. What may have been missed,
while a connection was down, is told by `interrupted`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Connection

from geo.valkey import Pipeline, Valkey, ValkeyAway, packed, slot_of_key
from geo.valkey_server import LOST
from geo.valkey_topology import Address

SILENT_S: Final = 1.0
"""After so long without a message the server is pinged; after twice as long it is lost."""
PUBLISH_DEADLINE_S: Final = 0.5


class Lanes:
    """Publishes to and listens on a fixed set of channels, named by number."""

    def __init__(self, valkey: Valkey, name: str, count: int) -> None:
        """The channels are `name:DB:{bNN}`: the tag in braces decides the slot."""
        self._valkey = valkey
        name = f"{name}:{valkey.database}"
        self._channels = [f"{name}:{{b{lane:02}}}".encode() for lane in range(count)]
        self._slots = [slot_of_key(channel) for channel in self._channels]
        self.is_listening = False
        """Whether every lane is heard now."""

    def __len__(self) -> int:
        return len(self._channels)

    async def publish(self, messages: Mapping[int, bytes]) -> None:
        """Sends one message on each of these lanes; raises `ValkeyAway`, perhaps with some sent."""
        pipeline = Pipeline()
        for lane, message in messages.items():
            pipeline.add(self._slots[lane], packed(b"SPUBLISH", self._channels[lane], message))
        await self._valkey.run(pipeline, deadline_s=PUBLISH_DEADLINE_S)

    async def listen(
        self, received: Callable[[bytes], None], interrupted: Callable[[], None]
    ) -> None:
        """Passes on every message until a connection is lost, and raises `ValkeyAway` then.

        `interrupted` is called as soon as every lane is heard: before, any may have been missed.
        """
        owners = await self._valkey.owners(self._slots)
        waiting = len(owners)

        def heard() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                self.is_listening = True
                interrupted()

        try:
            async with asyncio.TaskGroup() as group:
                for owner, slots in owners.items():
                    own = [
                        c
                        for c, slot in zip(self._channels, self._slots, strict=True)
                        if slot in slots
                    ]
                    group.create_task(self._listen(owner, own, received, heard))
        except* (ValkeyAway, *LOST) as errors:
            raise ValkeyAway(f"no longer heard: {errors.exceptions[0]}") from errors
        finally:
            self.is_listening = False

    async def _listen(
        self,
        owner: Address,
        channels: Sequence[bytes],
        received: Callable[[bytes], None],
        heard: Callable[[], None],
    ) -> None:
        connection = self._valkey.connection_to(owner)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            # one by one: in a cluster a command may name channels of one slot alone
            commands = b"".join(packed(b"SSUBSCRIBE", channel) for channel in channels)
            await connection.send_packed_command(commands, check_health=False)
            unheard = set(channels)
            while True:
                kind, *words = await _next(connection)
                if kind == b"smessage":
                    received(words[1])
                elif kind == b"ssubscribe":
                    unheard.discard(words[0])
                    if not unheard:
                        heard()
                elif kind == b"sunsubscribe":
                    raise ValkeyAway("a lane has moved to another server")
        finally:
            await connection.disconnect(nowait=True)


async def _next(connection: Connection) -> list[Any]:
    """Returns the next push of a server; raises one of `LOST`, or `ValkeyAway` from a silent one."""
    for pinged in (False, True):
        try:
            async with asyncio.timeout(SILENT_S):
                reply = await connection.read_response(push_request=True, disconnect_on_error=False)
        except TimeoutError:
            if not pinged:
                await connection.send_packed_command(packed(b"PING"), check_health=False)
            continue
        if isinstance(reply, Exception):
            raise ValkeyAway(str(reply))
        return reply if isinstance(reply, list) else [reply]
    raise ValkeyAway(f"silent for {2 * SILENT_S} s")
