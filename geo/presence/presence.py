"""Presence of hustlers: H3-indexed sorted sets with hashes in Redis or Valkey (design §4).

Per resolution-7 cell there is a hash (hustler → record) and its index by time, a sorted set
(hustler → last seen), both gone 120 s after the last write. A record says when its hustler was
seen; its entry in the index may be 5 s older.
A directory key per hustler names the cell, for 300 s and more; it decides between two writers.

Inside a partition a heartbeat is one atomic step. Across partitions the new cell is written, the
directory claimed, then the old cell cleared: a crash in between leaves a record that readers rank
behind the newer one and that expires by itself. The writer that loses the claim clears its own
record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from geo.cells import Cells, partitions_of
from geo.points import LatLng
from geo.presence.heartbeat_writes import (
    CLAIM,
    HEARTBEAT,
    LAST_GENERATION,
    LAST_SEQ,
    PARTITION_SLOTS,
    REFRESH,
    VACATE,
    CellSlot,
    Heartbeat,
    HeartbeatWrite,
    KeepAlive,
    claim_command,
    claimed_cell,
    directory_key,
    directory_slot,
    heartbeat_calls,
    is_refreshed,
    keys_of,
    prolong_command,
    prolonged,
    read_command,
    refresh_calls,
    vacate_command,
)
from geo.presence.present_hustlers import (
    INDEX_LAG_MS,
    RECORD,
    STALE_MS,
    PresentHustlers,
    alive_hustlers,
)
from geo.valkey import ANYWHERE, Pipeline, Script, Valkey, packed, slot_of_key

__all__ = [
    "CellSlot",
    "Departure",
    "Heartbeat",
    "KeepAlive",
    "LastPosition",
    "Presence",
    "PresentHustlers",
]

HEARTBEATS_AT_ONCE: Final = 2_000
CELLS_AT_ONCE: Final = 512
HUSTLERS_AT_ONCE: Final = 500  # a few milliseconds of packing and parsing
RECORDS_AT_ONCE: Final = 10_000  # parsed in about a millisecond

_GENERATION: Final = Script(Path(__file__).parent / "generation.lua")
_GENERATION_COUNTERS: Final = 64
_Row = TypeVar("_Row")
_TIME: Final = packed(b"TIME")
_SLOTS: Final = np.array(PARTITION_SLOTS)


@dataclass(frozen=True, slots=True)
class LastPosition:
    """A hustler's last position, when it was fixed (Unix s) and where it is kept."""

    point: LatLng
    fixed_at_s: float
    slot: CellSlot


@dataclass(frozen=True, slots=True)
class Departure:
    """A hustler who leaves presence; generations above `generation` stay."""

    hustler: UUID
    slot: CellSlot | None = None
    generation: int = LAST_GENERATION


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
            pipeline = Pipeline()
            for hustler in batch:
                key = b"hx2:{g%02d}:generation" % (hustler.int % _GENERATION_COUNTERS)
                pipeline.add(slot_of_key(key), packed(b"EVALSHA", _GENERATION.sha, 1, key))
            given += map(int, await self._client.run(pipeline))
        return given

    async def write(
        self, heartbeats: Sequence[Heartbeat], *, trusting: bool = True
    ) -> list[CellSlot | None]:
        """Writes heartbeats; returns where each is kept now, in their order.

        None where something newer stands: another socket has become the source.
        One round trip for a batch; two more for those who were not found or changed partition.
        `trusting=False` writes every directory entry anew, as after a loss.
        """
        kept: list[CellSlot | None] = []
        for batch in _batches(heartbeats, HEARTBEATS_AT_ONCE):
            now = time.monotonic()
            writes = [HeartbeatWrite(heartbeat, now, trusts=trusting) for heartbeat in batch]
            await self._step(writes)
            lost = [write for write in writes if write.is_lost]
            for write in lost:
                write.distrust()
            await self._step(lost)
            leftovers = Pipeline()
            for write in writes:
                if not write.stays:
                    for slot in write.leftovers():
                        _add_vacate(leftovers, write.heartbeat, slot)
            await self._client.run(leftovers)
            kept += [write.kept(now) for write in writes]
        return kept

    async def refresh(self, keep_alives: Sequence[KeepAlive]) -> list[CellSlot | None]:
        """Moves last-seen to now, positions untouched; returns where each is kept.

        None says that nothing of this generation is there: expired, lost, or superseded. The last
        position is to be written again then.
        """
        kept: list[CellSlot | None] = []
        for batch in _batches(keep_alives, HEARTBEATS_AT_ONCE):
            kept += await self._refresh(batch)
        return kept

    async def _refresh(self, keep_alives: Sequence[KeepAlive]) -> list[CellSlot | None]:
        now = time.monotonic()
        kept: list[CellSlot | None] = [None] * len(keep_alives)
        calls = list(refresh_calls(keep_alives))
        pipeline = Pipeline([command for _, command, _ in calls], [slot for slot, _, _ in calls])
        due = [row for row, one in enumerate(keep_alives) if one.slot.is_due(now)]
        for row in due:
            hustler = keep_alives[row].hustler
            pipeline.add(directory_slot(hustler), prolong_command(hustler))
        replies = await self._client.run(pipeline)
        for (_, _, rows), reply in zip(calls, replies, strict=False):
            for row, letter in zip(rows, reply, strict=True):
                kept[row] = keep_alives[row].slot if is_refreshed(letter) else None
        for row, held in zip(due, replies[len(calls) :], strict=True):
            slot = kept[row]
            kept[row] = prolonged(slot, now) if slot is not None and held else None
        return kept

    async def remove(
        self,
        hustler: UUID,
        slot: CellSlot | None = None,
        generation: int = LAST_GENERATION,
    ) -> None:
        """Removes a hustler from presence, unless a generation after `generation` has come in.

        Where no cell is known, the directory names it.
        """
        await self.remove_all([Departure(hustler, slot, generation)])

    async def remove_all(self, departures: Sequence[Departure]) -> None:
        """Removes hustlers as `remove` does, all in two round trips."""
        for batch in _batches(departures, HUSTLERS_AT_ONCE):
            claims, leftovers = Pipeline(), Pipeline()
            for one in batch:
                given_up = claim_command(one.hustler, one.generation, LAST_SEQ, None)
                claims.add(directory_slot(one.hustler), given_up)
            for one, reply in zip(batch, await self._client.run(claims), strict=True):
                for slot in {one.slot, claimed_cell(reply)} - {None}:
                    assert slot is not None
                    command = vacate_command(one.hustler, slot, one.generation, LAST_SEQ)
                    leftovers.add(PARTITION_SLOTS[slot.partition], command)
            await self._client.run(leftovers)

    async def within(self, cells: Cells) -> PresentHustlers:
        """Returns matchable hustlers in these cells: seen within 90 s, position at most 5 min old.

        Exact positions; the caller filters by distance. `cells` is uint64 (n,), as `cover` has it.
        By the clock of one server; those of a cluster are a few ms apart.
        """
        parts = []
        for start in range(0, max(len(cells), 1), CELLS_AT_ONCE):
            part = cells[start : start + CELLS_AT_ONCE]
            slots = _SLOTS[partitions_of(part)].tolist() if len(part) else []
            reads = Pipeline(
                [_TIME, *map(read_command, part.tolist())], [*(slots[:1] or [ANYWHERE]), *slots]
            )
            now, *records = await self._client.run(reads)
            parts += await _parsed(records, _milliseconds(now))
        if len(parts) == 1:
            return parts[0].newest()
        newest = (await _joined(parts)).newest()
        await asyncio.sleep(0)
        return newest

    async def of(self, hustlers: Collection[UUID]) -> PresentHustlers:
        """Returns those of these hustlers who are matchable, as `within` has it."""
        now_ms = _milliseconds(await self._client.one(b"TIME"))
        records = [record async for _, _, record in self._records(hustlers)]
        return alive_hustlers([records], now_ms).newest()

    async def counts(self, cells: Cells) -> NDArray[np.int64]:
        """Returns how many hustlers were seen in each cell within 90 to 95 s: int64 (n,).

        By the index alone, which may lag behind the records by 5 s; so nobody present is left out.
        """
        now_ms = _milliseconds(await self._client.one(b"TIME"))
        since_ms = now_ms - STALE_MS - INDEX_LAG_MS
        counts: list[int] = []
        for start in range(0, len(cells), CELLS_AT_ONCE):
            part = cells[start : start + CELLS_AT_ONCE]
            commands = [
                packed(b"ZCOUNT", keys_of(cell)[1], since_ms, b"+inf") for cell in part.tolist()
            ]
            slots = _SLOTS[partitions_of(part)].tolist()
            counts += await self._client.run(Pipeline(commands, slots))
        return np.array(counts, dtype=np.int64)

    async def present(self, hustlers: Collection[UUID]) -> set[UUID]:
        """Returns those the directory knows: with a heartbeat in the last 300 to 360 s."""
        known: set[UUID] = set()
        for batch in _batches(list(hustlers), HUSTLERS_AT_ONCE):
            replies = await self._directory(b"EXISTS", batch)
            known.update(hustler for hustler, found in zip(batch, replies, strict=True) if found)
        return known

    async def last_positions(self, hustlers: Collection[UUID]) -> dict[UUID, LastPosition]:
        """Returns the last positions of those the directory and their cell know, silent or not.

        For a process that has just taken a hustler's socket over: at most 300 s old.
        """
        found: dict[UUID, LastPosition] = {}
        async for hustler, slot, record in self._records(hustlers):
            row = np.frombuffer(record, dtype=RECORD)[0]
            found[hustler] = LastPosition(
                LatLng(float(row["lat"]), float(row["lng"])), int(row["fixed_at_ms"]) / 1000, slot
            )
        return found

    async def _records(
        self, hustlers: Collection[UUID]
    ) -> AsyncIterator[tuple[UUID, CellSlot, bytes]]:
        """Yields the records of those whom the directory and their cell know."""
        for batch in _batches(list(hustlers), HUSTLERS_AT_ONCE):
            claims = await self._directory(b"GET", batch)
            housed = [
                (hustler, slot)
                for hustler, claim in zip(batch, claims, strict=True)
                if claim and (slot := claimed_cell(claim.split()[-1]))
            ]
            reads = Pipeline()
            for hustler, slot in housed:
                command = packed(b"HGET", keys_of(slot.cell)[0], hustler.bytes)
                reads.add(PARTITION_SLOTS[slot.partition], command)
            records = await self._client.run(reads)
            for (hustler, slot), record in zip(housed, records, strict=True):
                if record:
                    yield hustler, slot, record

    async def run_id(self) -> str:
        """Returns the servers' run ids: another one means that presence must be written back."""
        ids = []
        for info in await self._client.everywhere(b"INFO", b"server"):
            lines = (line.partition(b":") for line in info.splitlines())
            ids.append(next(value.decode() for name, _, value in lines if name == b"run_id"))
        return " ".join(sorted(ids))

    async def _step(self, writes: Sequence[HeartbeatWrite]) -> None:
        """Writes the records, and then what the directory must hear; on a cluster one by one.

        In this order: whoever claims after us clears the record that our claim names.
        """
        calls = heartbeat_calls(writes)
        records = Pipeline([call.command() for call in calls], [call.slot for call in calls])
        asking = [write for write in writes if write.is_due or not write.stays]
        directory = Pipeline()
        for write in asking:
            hustler = write.heartbeat.hustler
            command = prolong_command(hustler) if write.is_due else write.claim()
            directory.add(directory_slot(hustler), command)
        letters, held = await self._client.run_in_order(records, directory)
        for call, reply in zip(calls, letters, strict=True):
            call.take(reply)
        for write, reply in zip(asking, held, strict=True):
            write.held = reply

    async def _directory(self, command: bytes, hustlers: Sequence[UUID]) -> list[Any]:
        commands = [packed(command, directory_key(hustler)) for hustler in hustlers]
        return await self._client.run(Pipeline(commands, list(map(directory_slot, hustlers))))


async def _parsed(records: Sequence[Sequence[bytes]], now_ms: int) -> list[PresentHustlers]:
    """Parses the records of cells, and gives way to the loop after some thousands."""
    if sum(map(len, records)) <= RECORDS_AT_ONCE:
        return [alive_hustlers(records, now_ms)]
    rows, waiting, count = [], [], 0
    for cell in records:
        waiting.append(cell)
        count += len(cell)
        if count >= RECORDS_AT_ONCE:
            rows.append(alive_hustlers(waiting, now_ms))
            waiting, count = [], 0
            await asyncio.sleep(0)
    return [*rows, alive_hustlers(waiting, now_ms)]


def _add_vacate(pipeline: Pipeline, heartbeat: Heartbeat, slot: CellSlot) -> None:
    command = vacate_command(heartbeat.hustler, slot, heartbeat.generation, heartbeat.seq)
    pipeline.add(PARTITION_SLOTS[slot.partition], command)


def _milliseconds(reply: Sequence[Any]) -> int:
    return int(reply[0]) * 1000 + int(reply[1]) // 1000


def _batches(rows: Sequence[_Row], size: int) -> Iterator[Sequence[_Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


async def _joined(parts: Sequence[PresentHustlers]) -> PresentHustlers:
    """Returns all parts as one; a column of 100,000 takes half a millisecond."""
    columns = []
    for column in fields(PresentHustlers):
        columns.append(np.concatenate([getattr(part, column.name) for part in parts]))
        await asyncio.sleep(0)
    return PresentHustlers(*columns)
