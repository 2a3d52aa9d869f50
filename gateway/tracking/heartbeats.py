"""Writes positions to presence: batched for a few ms, written back after a loss (design §4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final
from uuid import UUID

import structlog

from engine.kernel.ids import UserId
from engine.kernel.loops import Backoff, supervise
from gateway.contract import limits
from gateway.tracking.tracked_hustlers import TrackedHustler
from geo.presence.presence import Departure, Heartbeat, KeepAlive, LastPosition, Presence
from geo.valkey import ValkeyAway

log = structlog.get_logger(__name__)

_PAUSE_S: Final = 0.2
_WATCH_EVERY_S: Final = 1.0


class Heartbeats:
    """Batched writer of heartbeats, one pipeline at a time; callers do not wait for it."""

    def __init__(
        self,
        presence: Presence,
        entered: Callable[[Collection[UserId]], object] = lambda _: None,
    ) -> None:
        """`entered` is called with the hustlers who have just come into another cell, or into any."""
        self.presence = presence
        self._entered = entered
        self._live: dict[UserId, TrackedHustler] = {}
        self._moved: dict[UserId, TrackedHustler] = {}
        self._keep_alives: dict[UserId, TrackedHustler] = {}
        self._leaving: list[TrackedHustler] = []
        self._wake = asyncio.Event()
        self._run_id: str | None = None
        self._watch_at = 0.0
        self._away = False
        self.lost_at = time.monotonic()
        """When Valkey was last away or new, or this process began: nobody is missed right after."""

    @property
    def live(self) -> Collection[TrackedHustler]:
        """The hustlers in LIVE mode whose presence this process keeps up."""
        return self._live.values()

    def moved(self, tracked: TrackedHustler) -> None:
        """Queues a new position of a hustler in LIVE mode."""
        self._live[tracked.user] = tracked
        self._moved[tracked.user] = tracked
        self._wake.set()

    def keep_alive(self, tracked: TrackedHustler) -> None:
        """Queues a heartbeat without a position."""
        self._keep_alives[tracked.user] = tracked
        self._wake.set()

    def forget(self, tracked: TrackedHustler) -> None:
        """Leaves a hustler's presence to itself, or to the process that has heard of them since."""
        for waiting in (self._live, self._moved, self._keep_alives):
            if waiting.get(tracked.user) is tracked:
                del waiting[tracked.user]

    def stop(self, tracked: TrackedHustler) -> None:
        """Queues a removal from presence: after the write that is on its way, before any other.

        Nobody waits for it; what Valkey misses expires in 90 s.
        """
        for waiting in (self._live, self._moved, self._keep_alives):
            waiting.pop(tracked.user, None)
        self._leaving.append(tracked)
        self._wake.set()

    async def last_positions(self, hustlers: Collection[UserId]) -> dict[UUID, LastPosition]:
        """Returns the last positions of these hustlers in presence; raises ValkeyAway."""
        return await self.presence.last_positions(hustlers)

    async def run(self) -> None:
        """Runs rounds until cancelled."""
        await supervise("heartbeats", self.round, backoff=Backoff(_PAUSE_S))

    async def round(self) -> None:
        """Writes one batch, and writes everything back when Valkey has restarted."""
        try:
            async with asyncio.timeout(_WATCH_EVERY_S):
                await self._wake.wait()
            await asyncio.sleep(limits.HEARTBEAT_WINDOW_S)
        except TimeoutError:
            pass
        self._wake.clear()
        try:
            if self._away or time.monotonic() >= self._watch_at:
                await self._watch()
                self._watch_at = time.monotonic() + _WATCH_EVERY_S
            await self._remove_leaving()
            await self._write_moved()
            await self._write_keep_alives()
        except ValkeyAway:
            self._away = True
            self.lost_at = time.monotonic()
            self._wake.set()
            raise

    async def _watch(self) -> None:
        """Writes everything back after a new run id of the server, or its absence."""
        run_id = await self.presence.run_id()
        if self._away or self._run_id not in (None, run_id):
            await self._write_back()
            self.lost_at = time.monotonic()
        self._run_id = run_id
        self._away = False

    async def _write_back(self) -> None:
        """Writes back the positions of recently heard hustlers, spread over at most two seconds."""
        now = time.monotonic()
        heard = [
            tracked for tracked in self._live.values() if now - tracked.heard_at < limits.PRESENT_S
        ]
        log.info("presence_written_back", hustlers=len(heard))
        batches = range(0, len(heard), limits.HEARTBEAT_BATCH)
        for start in batches:
            batch = heard[start : start + limits.HEARTBEAT_BATCH]
            await self._write(batch, trusting=False)
            await self._write_moved()
            if start != batches[-1]:
                await asyncio.sleep(limits.REWRITE_WITHIN_S / len(batches))

    async def _write_moved(self) -> None:
        while self._moved:
            batch = [self._moved.pop(user) for user in list(self._moved)[: limits.HEARTBEAT_BATCH]]
            try:
                await self._write(batch)
            except ValkeyAway:
                for tracked in batch:
                    if self._live.get(tracked.user) is tracked:
                        self._moved.setdefault(tracked.user, tracked)
                raise

    async def _write_keep_alives(self) -> None:
        batch = [
            (tracked, KeepAlive(tracked.user, tracked.generation, tracked.slot))
            for tracked in self._keep_alives.values()
            if tracked.generation is not None and tracked.slot is not None
        ]
        self._keep_alives.clear()
        kept = await self.presence.refresh([keep_alive for _, keep_alive in batch])
        missing = []
        for (tracked, _), slot in zip(batch, kept, strict=True):
            if slot is None:
                missing.append(tracked)
            else:
                tracked.slot = slot
        await self._write(missing)

    async def _write(
        self, tracked_hustlers: Sequence[TrackedHustler], *, trusting: bool = True
    ) -> None:
        """Writes the tracked hustlers who are still LIVE; then removes who left meanwhile."""
        live = [t for t in tracked_hustlers if self._live.get(t.user) is t]
        if live:
            await self._write_live(live, trusting=trusting)
        await self._remove_leaving()

    async def _remove_leaving(self) -> None:
        if not self._leaving:
            return
        leaving, self._leaving = self._leaving, []
        try:
            await self.presence.remove_all(
                [
                    Departure(tracked.user, tracked.slot, tracked.generation)
                    for tracked in leaving
                    if tracked.generation is not None
                ]
            )
        except ValkeyAway:
            log.info("presence_left_to_expire", hustlers=len(leaving))
            raise

    async def _write_live(
        self, tracked_hustlers: Sequence[TrackedHustler], *, trusting: bool
    ) -> None:
        new = [tracked for tracked in tracked_hustlers if tracked.generation is None]
        generations = await self.presence.new_generations([tracked.user for tracked in new])
        for tracked, generation in zip(new, generations, strict=True):
            tracked.generation = generation
        heartbeats = []
        now = time.monotonic()
        for tracked in tracked_hustlers:
            assert tracked.generation is not None
            tracked.seq += 1
            heartbeats.append(
                Heartbeat(
                    hustler=tracked.user,
                    point=tracked.track.point,
                    generation=tracked.generation,
                    seq=tracked.seq,
                    slot=tracked.slot,
                    fix_age_ms=int(1000 * (now - tracked.fixed_at)),
                )
            )
        kept = await self.presence.write(heartbeats, trusting=trusting)
        entered: list[UserId] = []
        for tracked, slot in zip(tracked_hustlers, kept, strict=True):
            before, tracked.slot = tracked.slot, slot
            if slot is not None:
                if before is None or before.cell != slot.cell:
                    entered.append(tracked.user)
            elif self._live.get(tracked.user) is tracked:
                del self._live[tracked.user]  # the source is a socket of another process now
        if entered:
            self._entered(entered)
