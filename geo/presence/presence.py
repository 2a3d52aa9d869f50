"""Presence of hustlers: H3-indexed sorted sets with hashes in Redis or Valkey (design §4).

Per resolution-7 cell there is a hash (hustler → record) and its index by time, a sorted set
(hustler → last seen), both gone 120 s after the last write.
A directory key per hustler names the cell, for 300 s; it decides between two writers.

Inside a partition a heartbeat is one atomic step. Across partitions the new cell is written, the
directory claimed, then the old cell cleared: a crash in between leaves a record that readers rank
behind the newer one and that expires by itself. The writer that loses the claim clears its own
record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from geo.cells import Cells
from geo.points import LatLng
from geo.presence.heartbeat_writes import (
    CLAIM,
    HEARTBEAT,
    LAST_GENERATION,
    LAST_SEQ,
    REFRESH,
    VACATE,
    CellSlot,
    Heartbeat,
    HeartbeatWrite,
    KeepAlive,
    claim_command,
    claimed_cell,
    directory_key,
    keys_of,
    prolong_command,
    refresh_command,
    vacate_command,
)
from geo.presence.present_hustlers import RECORD, STALE_MS, PresentHustlers, present_hustlers
from geo.valkey import Script, Valkey, packed

__all__ = ["CellSlot", "Heartbeat", "KeepAlive", "LastPosition", "Presence", "PresentHustlers"]

HEARTBEATS_AT_ONCE: Final = 2_000
CELLS_AT_ONCE: Final = 1_024
HUSTLERS_AT_ONCE: Final = 5_000

_GENERATION: Final = Script(Path(__file__).parent / "generation.lua")
_GENERATION_COUNTERS: Final = 64
_Row = TypeVar("_Row")
_TIME: Final = packed(b"TIME")


@dataclass(frozen=True, slots=True)
class LastPosition:
    """A hustler's last position, when it was fixed (Unix s) and where it is kept."""

    point: LatLng
    fixed_at_s: float
    slot: CellSlot


class Presence:
    """Reads and writes presence. Every method raises `ValkeyAway` when the server is away."""

    def __init__(self, client: Valkey) -> None:
        self._client = client
        client.add_scripts((HEARTBEAT, REFRESH, VACATE, CLAIM, _GENERATION))

    async def new_generations(self, hustlers: Sequence[UUID]) -> list[int]:
        """Returns generations above all earlier ones, for sockets that become location sources.

        Sixty-four counters serve all hustlers, so none needs a key of its own.
        """
        given: list[int] = []
        for batch in _batches(hustlers, HUSTLERS_AT_ONCE):
            commands = [
                packed(
                    b"EVALSHA",
                    _GENERATION.sha,
                    1,
                    b"hx1:generation:%d" % (hustler.int % _GENERATION_COUNTERS),
                )
                for hustler in batch
            ]
            given += map(int, await self._client.run(b"".join(commands), len(batch)))
        return given

    async def write(self, heartbeats: Sequence[Heartbeat]) -> list[CellSlot | None]:
        """Writes heartbeats; returns where each is kept now, in their order.

        None where something newer stands: another socket has become the source.
        One round trip for a batch; two more for those who were not found or changed partition.
        """
        writes = [HeartbeatWrite(heartbeat) for heartbeat in heartbeats]
        for batch in _batches(writes, HEARTBEATS_AT_ONCE):
            await self._step(batch)
            lost = [write for write in batch if write.is_lost]
            for write in lost:
                write.trusts = False
            await self._step(lost)
            leftovers = [command for write in batch for command in write.leftovers()]
            await self._client.run(b"".join(leftovers), len(leftovers))
        return [write.kept for write in writes]

    async def refresh(self, keep_alives: Sequence[KeepAlive]) -> list[bool]:
        """Moves last-seen to now, positions untouched; False: write the last position again.

        False means that nothing of this generation is there: expired, lost, or superseded.
        """
        alive: list[bool] = []
        for batch in _batches(keep_alives, HEARTBEATS_AT_ONCE):
            commands = [
                refresh_command(keep_alive) + prolong_command(keep_alive.hustler)
                for keep_alive in batch
            ]
            replies = await self._client.run(b"".join(commands), 2 * len(batch))
            alive += [
                seen == 1 and held == 1
                for seen, held in zip(replies[::2], replies[1::2], strict=True)
            ]
        return alive

    async def remove(
        self,
        hustler: UUID,
        slot: CellSlot | None = None,
        generation: int = LAST_GENERATION,
    ) -> None:
        """Removes a hustler from presence, unless a generation after `generation` has come in.

        Where no cell is known, the directory names it.
        """
        given_up = claim_command(hustler, generation, LAST_SEQ, None)
        (reply,) = await self._client.run(given_up, 1)
        left = {slot, claimed_cell(reply)} - {None}
        commands = [vacate_command(hustler, old, generation, LAST_SEQ) for old in left if old]
        await self._client.run(b"".join(commands), len(commands))

    async def within(self, cells: Cells) -> PresentHustlers:
        """Returns matchable hustlers in these cells: seen within 90 s, position at most 5 min old.

        Exact positions; the caller filters by distance. `cells` is uint64 (n,), as `cover` has it.
        """
        now_ms, found = 0, []
        for start in range(0, max(len(cells), 1), CELLS_AT_ONCE):
            part = cells[start : start + CELLS_AT_ONCE]
            time, *records = await self._client.run(_reads(part.tobytes()), 1 + len(part))
            now_ms = _milliseconds(time)
            found += records
        return present_hustlers(found, now_ms)

    async def of(self, hustlers: Collection[UUID]) -> PresentHustlers:
        """Returns those of these hustlers who are matchable, as `within` has it."""
        records: list[list[bytes]] = []
        now_ms = 0
        for batch in _batches(list(hustlers), HUSTLERS_AT_ONCE):
            claims = await self._client.run(
                b"".join(packed(b"GET", directory_key(hustler)) for hustler in batch), len(batch)
            )
            reads = [
                packed(b"HGET", keys_of(slot.cell)[0], hustler.bytes)
                for hustler, claim in zip(batch, claims, strict=True)
                if claim and (slot := claimed_cell(claim.split()[-1]))
            ]
            time, *found = await self._client.run(_TIME + b"".join(reads), 1 + len(reads))
            now_ms = _milliseconds(time)
            records.append([record for record in found if record])
        return present_hustlers(records, now_ms)

    async def counts(self, cells: Cells) -> NDArray[np.int64]:
        """Returns how many hustlers were seen in each cell within 90 s: int64 (n,)."""
        since_ms = _milliseconds(await self._client.one(b"TIME")) - STALE_MS
        counts: list[int] = []
        for batch in _batches(cells.tolist(), CELLS_AT_ONCE):
            commands = [packed(b"ZCOUNT", keys_of(cell)[1], since_ms, b"+inf") for cell in batch]
            counts += await self._client.run(b"".join(commands), len(batch))
        return np.array(counts, dtype=np.int64)

    async def present(self, hustlers: Collection[UUID]) -> set[UUID]:
        """Returns those the directory knows: with a heartbeat in the last 300 s."""
        known: set[UUID] = set()
        for batch in _batches(list(hustlers), HUSTLERS_AT_ONCE):
            commands = [packed(b"EXISTS", directory_key(hustler)) for hustler in batch]
            replies = await self._client.run(b"".join(commands), len(batch))
            known.update(hustler for hustler, found in zip(batch, replies, strict=True) if found)
        return known

    async def last_positions(self, hustlers: Collection[UUID]) -> dict[UUID, LastPosition]:
        """Returns the last positions of those the directory and their cell know, silent or not.

        For a process that has just taken a hustler's socket over: at most 300 s old.
        """
        found: dict[UUID, LastPosition] = {}
        for batch in _batches(list(hustlers), HUSTLERS_AT_ONCE):
            claims = await self._client.run(
                b"".join(packed(b"GET", directory_key(hustler)) for hustler in batch), len(batch)
            )
            housed = [
                (hustler, slot)
                for hustler, claim in zip(batch, claims, strict=True)
                if claim and (slot := claimed_cell(claim.split()[-1]))
            ]
            records = await self._client.run(
                b"".join(
                    packed(b"HGET", keys_of(slot.cell)[0], hustler.bytes)
                    for hustler, slot in housed
                ),
                len(housed),
            )
            for (hustler, slot), record in zip(housed, records, strict=True):
                if record:
                    row = np.frombuffer(record, dtype=RECORD)[0]
                    found[hustler] = LastPosition(
                        LatLng(float(row["lat"]), float(row["lng"])),
                        int(row["fixed_at_ms"]) / 1000,
                        slot,
                    )
        return found

    async def run_id(self) -> str:
        """Returns the server's run id: another one means that presence must be written back."""
        info: bytes = await self._client.one(b"INFO", b"server")
        lines = (line.partition(b":") for line in info.splitlines())
        return next(value.decode() for name, _, value in lines if name == b"run_id")

    async def _step(self, writes: Sequence[HeartbeatWrite]) -> None:
        commands = b"".join([write.commands() for write in writes])
        replies = await self._client.run(commands, 2 * len(writes))
        for write, written, held in zip(writes, replies[::2], replies[1::2], strict=True):
            write.written, write.held = written, held


@lru_cache(maxsize=1_024)
def _reads(cells: bytes) -> bytes:
    """Returns the packed commands that read so many cells; cached, as covers recur each tick."""
    return _TIME + b"".join(
        packed(b"HVALS", keys_of(cell)[0]) for cell in np.frombuffer(cells, np.uint64).tolist()
    )


def _milliseconds(time: Sequence[Any]) -> int:
    return int(time[0]) * 1000 + int(time[1]) // 1000


def _batches(rows: Sequence[_Row], size: int) -> Iterator[Sequence[_Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
