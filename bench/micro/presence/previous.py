"""The previous way as a peer: a script call and an EXPIRE for each heartbeat in place."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from geo.cells import partition_of, settle
from geo.points import LatLng
from geo.valkey import ANYWHERE, Pipeline, Script, Valkey, packed

SCRIPT: Final = Script(Path(__file__).parent / "previous.lua")
CALL_MAX: Final = 1_000
_POSITION: Final = struct.Struct("<dd")


class PreviousWay:
    """Writes heartbeats as before, under keys of their own."""

    def __init__(self, client: Valkey) -> None:
        self._client = client
        client.add_scripts([SCRIPT])

    async def write(
        self, heartbeats: Sequence[tuple[UUID, LatLng]], cells: Sequence[int], seq: int
    ) -> None:
        """Writes one heartbeat each for hustlers kept in these cells; the first ones enter them."""
        for start in range(0, len(heartbeats), CALL_MAX):
            commands = []
            part = slice(start, start + CALL_MAX)
            for (hustler, point), cell in zip(heartbeats[part], cells[part], strict=True):
                commands += _commands(hustler, point, settle(point, cell), seq)
            await self._client.run(Pipeline(commands, [ANYWHERE] * len(commands)))


def _commands(hustler: UUID, point: LatLng, cell: int, seq: int) -> list[bytes]:
    tag = b"hx1:{p%02d}:" % partition_of(cell)
    entry = b"hx1:at:" + hustler.hex.encode()
    heartbeat = packed(
        b"EVALSHA", SCRIPT.sha, 2, tag + b"cell:%x" % cell, tag + b"seen:%x" % cell,
        hustler.bytes, _POSITION.pack(point.lat, point.lng), 1, seq, 0, int(seq > 1),
    )  # fmt: skip
    if seq > 1:
        return [heartbeat, packed(b"EXPIRE", entry, 300)]
    return [heartbeat, packed(b"SET", entry, b"1 1 %x" % cell, b"EX", 300)]
