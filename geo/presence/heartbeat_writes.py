"""The protocol of a heartbeat write: keys, packed commands, and what their replies mean.

Pure; `presence` sends. Keys carry the number of the record's layout, so that a newer layout never
meets an older reader, and the partition as hash tag: no script touches two of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from geo import cells
from geo.points import LatLng
from geo.valkey import Script, packed

DIRECTORY_TTL_S: Final = 300
LAST_GENERATION: Final = 2**53 - 1  # the largest integer that Lua holds exactly
LAST_SEQ: Final = 2**32 - 1

_HERE: Final = Path(__file__).parent
HEARTBEAT: Final = Script(_HERE / "heartbeat.lua")
REFRESH: Final = Script(_HERE / "refresh.lua")
VACATE: Final = Script(_HERE / "vacate.lua")
CLAIM: Final = Script(_HERE / "claim.lua")

_POSITION: Final = struct.Struct("<dd")


class CellSlot(NamedTuple):
    """The cell where a hustler's record is kept, and its partition."""

    partition: int
    cell: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One heartbeat with a position.

    `slot` is what the last write of this hustler returned; None at first, then the directory
    is asked. `fix_age_ms` is the age of the position, for one that is written again.
    Raises ValueError for a generation over 2^53 − 1, a seq over 2^32 − 1, anything negative.
    """

    hustler: UUID
    point: LatLng
    generation: int
    seq: int
    slot: CellSlot | None = None
    fix_age_ms: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.generation <= LAST_GENERATION and 0 <= self.seq <= LAST_SEQ):
            raise ValueError(f"generation {self.generation}, seq {self.seq}: out of range")
        if self.fix_age_ms < 0:
            raise ValueError(f"a fix of age {self.fix_age_ms} ms")


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A keep-alive without a position: any frame of a live session."""

    hustler: UUID
    generation: int
    slot: CellSlot


class HeartbeatWrite:
    """The state of one heartbeat's write, from its first command to its last reply."""

    __slots__ = ("heartbeat", "held", "home", "trusts", "written")

    def __init__(self, heartbeat: Heartbeat) -> None:
        before = heartbeat.slot
        self.heartbeat = heartbeat
        self.home = slot_of(cells.settle(heartbeat.point, before.cell if before else None))
        # In its own partition a hustler must be found where it was: if not, it may have been
        # taken over by a newer socket, and only the directory knows.
        self.trusts = before is not None and before.partition == self.home.partition
        self.written = 0
        self.held: bytes | int | None = None

    @property
    def stays(self) -> bool:
        """Returns whether the record is assumed to be in this cell already."""
        return self.trusts and self.heartbeat.slot == self.home

    @property
    def is_lost(self) -> bool:
        """Returns whether record or directory entry was not where it was assumed to be."""
        return self.trusts and (self.written == -1 or (self.stays and self.held == 0))

    @property
    def kept(self) -> CellSlot | None:
        """Returns where the hustler is kept now; None when a newer generation stands."""
        return self.home if self.written == 1 and self.held is not None else None

    def commands(self) -> bytes:
        """Returns two commands: the heartbeat, then the directory's entry prolonged or claimed."""
        heartbeat, home = self.heartbeat, self.home
        keys: tuple[bytes, ...] = keys_of(home.cell)
        if self.trusts and not self.stays:
            assert heartbeat.slot is not None
            keys += keys_of(heartbeat.slot.cell)
        command = packed(
            b"EVALSHA", HEARTBEAT.sha, len(keys), *keys,
            heartbeat.hustler.bytes, _POSITION.pack(heartbeat.point.lat, heartbeat.point.lng),
            heartbeat.generation, heartbeat.seq, heartbeat.fix_age_ms, int(self.trusts),
        )  # fmt: skip
        if self.stays:
            return command + prolong_command(heartbeat.hustler)
        return command + claim_command(heartbeat.hustler, heartbeat.generation, heartbeat.seq, home)

    def leftovers(self) -> Iterator[bytes]:
        """Yields commands that delete superseded records: in cells left, or this one if it lost."""
        heartbeat = self.heartbeat
        if self.held is None:
            yield vacate_command(heartbeat.hustler, self.home, heartbeat.generation, heartbeat.seq)
        elif self.written == 1 and not self.stays:
            left = {heartbeat.slot, claimed_cell(self.held)} - {None, self.home}
            if self.trusts:
                left.discard(heartbeat.slot)  # the heartbeat itself has moved it
            for slot in left:
                assert slot is not None
                yield vacate_command(heartbeat.hustler, slot, heartbeat.generation, heartbeat.seq)


@lru_cache(maxsize=65_536)
def slot_of(cell: int) -> CellSlot:
    """Returns a cell with its partition."""
    return CellSlot(cells.partition_of(cell), cell)


@lru_cache(maxsize=65_536)
def keys_of(cell: int) -> tuple[bytes, bytes]:
    """Returns a cell's hash (hustler → record) and its index by time (hustler → last seen)."""
    tag = b"hx1:{p%02d}:" % cells.partition_of(cell)
    return tag + b"cell:%x" % cell, tag + b"seen:%x" % cell


def directory_key(hustler: UUID) -> bytes:
    """Returns the key that names the hustler's cell."""
    return b"hx1:at:" + hustler.hex.encode()


def refresh_command(keep_alive: KeepAlive) -> bytes:
    """Returns a command that replies 1, or 0 when this generation has no record there."""
    keys = keys_of(keep_alive.slot.cell)
    return packed(
        b"EVALSHA", REFRESH.sha, 2, *keys, keep_alive.hustler.bytes, keep_alive.generation
    )


def prolong_command(hustler: UUID) -> bytes:
    """Returns a command that replies 1, or 0 when the directory does not know the hustler."""
    return packed(b"EXPIRE", directory_key(hustler), DIRECTORY_TTL_S)


def claim_command(hustler: UUID, generation: int, seq: int, home: CellSlot | None) -> bytes:
    """Returns a command whose reply `claimed_cell` reads; nil when a newer claim stands.

    A `home` of None gives the claim up.
    """
    cell = b"%x" % home.cell if home else b""
    key = directory_key(hustler)
    return packed(b"EVALSHA", CLAIM.sha, 1, key, generation, seq, cell, DIRECTORY_TTL_S)


def claimed_cell(reply: bytes | int | None) -> CellSlot | None:
    """Returns the cell that a claim replaced, or None."""
    return slot_of(int(reply, 16)) if isinstance(reply, bytes) and reply else None


def vacate_command(hustler: UUID, slot: CellSlot, generation: int, seq: int) -> bytes:
    """Returns a command that replies 1, or 0 when a newer record stays."""
    keys = keys_of(slot.cell)
    return packed(b"EVALSHA", VACATE.sha, 2, *keys, hustler.bytes, generation, seq)
