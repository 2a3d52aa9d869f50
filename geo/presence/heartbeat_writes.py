"""The protocol of a heartbeat write: keys, packed commands, and what their replies mean.

Pure; `presence` sends. Keys carry the number of the record's layout, so that a newer layout never
meets an older reader, and a hash tag: the partition of a cell, the group of a hustler's directory
entry. No command touches two of them, so each goes to one server of a cluster.

A flush is one script call per partition: the heartbeats lie behind each other in one argument, as
heartbeat.lua reads them, and name their cells by number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final
from uuid import UUID

from geo import cells
from geo.points import LatLng
from geo.valkey import Script, packed, slot_of_key

PROLONG_EVERY_S: Final = 60.0
DIRECTORY_TTL_S: Final = 300 + 60  # 300 s at least, since an entry is prolonged once in 60 s
LAST_GENERATION: Final = 2**53 - 1  # the largest integer that Lua holds exactly
LAST_SEQ: Final = 2**32 - 1
OLDEST_FIX_MS: Final = 2**32 - 1
CALL_MAX: Final = 250  # heartbeats per call: the server hears nobody else for a millisecond
DIRECTORY_GROUPS: Final = 64

_HERE: Final = Path(__file__).parent
HEARTBEAT: Final = Script(_HERE / "record.lua", _HERE / "heartbeat.lua")
REFRESH: Final = Script(_HERE / "record.lua", _HERE / "refresh.lua")
VACATE: Final = Script(_HERE / "vacate.lua")
CLAIM: Final = Script(_HERE / "claim.lua")

_HEARTBEAT: Final = struct.Struct("<16sddQIIHHB")
_KEEP_ALIVE: Final = struct.Struct("<16sQH")
_WRITTEN, _NOT_FOUND = b"1-"
_WRITTEN_ALL: Final = b"1" * CALL_MAX


@dataclass(frozen=True, slots=True)
class CellSlot:
    """The cell where a hustler's record is kept, its partition, and how old the claim to it is."""

    partition: int
    cell: int
    claimed_at: float = field(default=float("-inf"), compare=False)
    """When the directory's entry was last written or prolonged, in monotonic seconds."""

    def is_due(self, now: float) -> bool:
        """Returns whether the directory's entry is to be prolonged."""
        return now - self.claimed_at >= PROLONG_EVERY_S


@dataclass(slots=True)
class Heartbeat:
    """One heartbeat with a position; not to be changed.

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


@dataclass(slots=True)
class KeepAlive:
    """A keep-alive without a position: any frame of a live session; not to be changed."""

    hustler: UUID
    generation: int
    slot: CellSlot


class HeartbeatWrite:
    """The state of one heartbeat's write, from its first command to its last reply."""

    __slots__ = ("cell", "heartbeat", "held", "is_due", "stays", "trusts", "written")

    def __init__(self, heartbeat: Heartbeat, now: float, *, trusts: bool = True) -> None:
        before = heartbeat.slot
        self.heartbeat = heartbeat
        self.written = 0
        self.held: bytes | int | None = 1
        """The directory's reply; 1 while nothing is asked of it."""
        if before is None:
            self.cell = cells.settle(heartbeat.point, None)
            self.trusts = self.stays = self.is_due = False
            return
        self.cell = cells.settle(heartbeat.point, before.cell)
        # In its own partition a hustler must be found where it was: if not, it may have been
        # taken over by a newer socket, and only the directory knows.
        stays = self.cell == before.cell
        self.trusts = trusts and (stays or before.partition == slot_of(self.cell).partition)
        self.stays = self.trusts and stays
        self.is_due = self.stays and before.is_due(now)

    @property
    def is_lost(self) -> bool:
        """Returns whether record or directory entry was not where it was assumed to be."""
        return self.trusts and (self.written == _NOT_FOUND or (self.stays and self.held == 0))

    def distrust(self) -> None:
        """Goes by the directory from now on, since what was remembered is wrong."""
        self.trusts = self.stays = self.is_due = False

    def kept(self, now: float) -> CellSlot | None:
        """Returns where the hustler is kept now; None when a newer generation stands."""
        if self.written != _WRITTEN or self.held is None:
            return None
        if self.stays and not self.is_due:
            return self.heartbeat.slot
        return prolonged(slot_of(self.cell), now)

    def claim(self) -> bytes:
        """Returns a command that claims the hustler for its cell."""
        heartbeat = self.heartbeat
        return claim_command(heartbeat.hustler, heartbeat.generation, heartbeat.seq, self.cell)

    def leftovers(self) -> Iterator[CellSlot]:
        """Yields the slots where a superseded record is: cells left, or this one if it lost."""
        here = slot_of(self.cell)
        if self.held is None:
            yield here
        elif self.written == _WRITTEN and not self.stays:
            left = {self.heartbeat.slot, claimed_cell(self.held)} - {None, here}
            if self.trusts:
                left.discard(self.heartbeat.slot)  # the heartbeat itself has moved it
            for slot in left:
                assert slot is not None
                yield slot


class HeartbeatCall:
    """The heartbeats of one partition that one script call writes."""

    __slots__ = ("_keys", "_numbers", "_packed", "slot", "writes")

    def __init__(self, partition: int) -> None:
        self.slot = PARTITION_SLOTS[partition]
        self.writes: list[HeartbeatWrite] = []
        self._packed: list[bytes] = []
        self._numbers: dict[int, int] = {}
        self._keys: list[bytes] = []

    def add(self, write: HeartbeatWrite) -> None:
        """Appends a heartbeat."""
        heartbeat = write.heartbeat
        to = self._numbers.get(write.cell) or self._number(write.cell)
        left = 0
        if write.trusts and not write.stays:
            assert heartbeat.slot is not None
            left = self._number(heartbeat.slot.cell)
        point = heartbeat.point
        self._packed.append(
            _HEARTBEAT.pack(
                heartbeat.hustler.bytes, point.lat, point.lng, heartbeat.generation, heartbeat.seq,
                min(heartbeat.fix_age_ms, OLDEST_FIX_MS), to, left, write.trusts,
            )
        )  # fmt: skip
        self.writes.append(write)

    def command(self) -> bytes:
        """Returns the call."""
        keys = self._keys
        return packed(b"EVALSHA", HEARTBEAT.sha, len(keys), *keys, b"".join(self._packed))

    def take(self, reply: bytes) -> None:
        """Hands each heartbeat its letter of the reply; an empty one says that all are written."""
        for write, letter in zip(
            self.writes, reply or _WRITTEN_ALL[: len(self.writes)], strict=True
        ):
            write.written = letter

    def _number(self, cell: int) -> int:
        number = self._numbers.get(cell)
        if number is None:
            number = self._numbers[cell] = len(self._numbers) + 1
            self._keys += keys_of(cell)
        return number


def heartbeat_calls(writes: Iterable[HeartbeatWrite]) -> list[HeartbeatCall]:
    """Returns the script calls that write these heartbeats, in their order within a partition."""
    calls: list[HeartbeatCall] = []
    filling: dict[int, HeartbeatCall] = {}
    for write in writes:
        slot = write.heartbeat.slot
        partition = slot.partition if slot and write.stays else slot_of(write.cell).partition
        call = filling.get(partition)
        if call is None or len(call.writes) == CALL_MAX:
            call = filling[partition] = HeartbeatCall(partition)
            calls.append(call)
        call.add(write)
    return calls


def refresh_calls(
    keep_alives: Sequence[KeepAlive],
) -> Iterator[tuple[int, bytes, Sequence[int]]]:
    """Yields script calls that refresh last-seen: slot, command, and the rows that they answer.

    A reply has a letter for each row, which `is_refreshed` reads.
    """
    rows_of: dict[int, list[int]] = {}
    for row, keep_alive in enumerate(keep_alives):
        rows_of.setdefault(keep_alive.slot.partition, []).append(row)
    for partition, rows in rows_of.items():
        for start in range(0, len(rows), CALL_MAX):
            part = rows[start : start + CALL_MAX]
            homes = dict.fromkeys(keep_alives[row].slot.cell for row in part)
            number = {cell: at for at, cell in enumerate(homes, 1)}
            keys = [key for cell in homes for key in keys_of(cell)]
            states = b"".join(
                _KEEP_ALIVE.pack(one.hustler.bytes, one.generation, number[one.slot.cell])
                for one in (keep_alives[row] for row in part)
            )
            command = packed(b"EVALSHA", REFRESH.sha, len(keys), *keys, states)
            yield PARTITION_SLOTS[partition], command, part


def is_refreshed(letter: int) -> bool:
    """Returns whether a letter of a refresh's reply says that the record was there."""
    return letter == _WRITTEN


def _tag_of_partition(partition: int) -> bytes:
    return b"hx2:{p%02d}:" % partition


PARTITION_SLOTS: Final = [slot_of_key(_tag_of_partition(p)) for p in range(cells.PARTITIONS)]
"""The hash slot of each partition's keys."""


@lru_cache(maxsize=65_536)
def slot_of(cell: int) -> CellSlot:
    """Returns a cell with its partition."""
    return CellSlot(cells.partition_of(cell), cell)


@lru_cache(maxsize=65_536)
def keys_of(cell: int) -> tuple[bytes, bytes]:
    """Returns a cell's hash (hustler → record) and its index by time (hustler → last seen)."""
    tag = _tag_of_partition(cells.partition_of(cell))
    return tag + b"cell:%x" % cell, tag + b"seen:%x" % cell


@lru_cache(maxsize=65_536)
def read_command(cell: int) -> bytes:
    """Returns the command whose reply are the records of a cell; about 200 bytes a cell cached."""
    return packed(b"HVALS", keys_of(cell)[0])


def prolonged(slot: CellSlot, now: float) -> CellSlot:
    """Returns a slot whose directory entry was written or prolonged at `now`."""
    return CellSlot(slot.partition, slot.cell, now)


def directory_key(hustler: UUID) -> bytes:
    """Returns the key that names the hustler's cell."""
    return b"hx2:{h%02d}:at:%s" % (hustler.int % DIRECTORY_GROUPS, hustler.hex.encode())


_DIRECTORY_SLOTS: Final = [slot_of_key(b"{h%02d}" % group) for group in range(DIRECTORY_GROUPS)]


def directory_slot(hustler: UUID) -> int:
    """Returns the hash slot of the hustler's directory entry."""
    return _DIRECTORY_SLOTS[hustler.int % DIRECTORY_GROUPS]


def prolong_command(hustler: UUID) -> bytes:
    """Returns a command that replies 1, or 0 when the directory does not know the hustler."""
    return packed(b"EXPIRE", directory_key(hustler), DIRECTORY_TTL_S)


def claim_command(hustler: UUID, generation: int, seq: int, cell: int | None) -> bytes:
    """Returns a command whose reply `claimed_cell` reads; nil when a newer claim stands.

    A `cell` of None gives the claim up.
    """
    name = b"%x" % cell if cell is not None else b""
    key = directory_key(hustler)
    return packed(b"EVALSHA", CLAIM.sha, 1, key, generation, seq, name, DIRECTORY_TTL_S)


def claimed_cell(reply: bytes | int | None) -> CellSlot | None:
    """Returns the cell that a claim replaced, or None."""
    return slot_of(int(reply, 16)) if isinstance(reply, bytes) and reply else None


def vacate_command(hustler: UUID, slot: CellSlot, generation: int, seq: int) -> bytes:
    """Returns a command that replies 1, or 0 when a newer record stays."""
    keys = keys_of(slot.cell)
    return packed(b"EVALSHA", VACATE.sha, 2, *keys, hustler.bytes, generation, seq)
