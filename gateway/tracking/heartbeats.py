"""Positions on their way to Valkey: gathered for a few ms, written back after a loss (design §4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

import structlog

from engine.kernel.ids import UserId
from engine.kernel.loops import Backoff, steadily
from gateway.contract import limits
from gateway.tracking.tracked_hustlers import Traveller
from geo.presence.presence import Beat, LastPlace, Presence, Sign
from geo.valkey import ValkeyAway

log = structlog.get_logger(__name__)

_PAUSE_S: Final = 0.2
_WATCH_EVERY_S: Final = 1.0


class Heartbeats:
    """One pipeline after another; nobody waits for it."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._live: dict[UserId, Traveller] = {}
        self._moved: dict[UserId, Traveller] = {}
        self._signs: dict[UserId, Traveller] = {}
        self._wake = asyncio.Event()
        # A write on its way must not bring back whom `stop` takes out.
        self._writing = asyncio.Lock()
        self._run_id: str | None = None
        self._watch_at = 0.0
        self._away = False
        self.lost_at = time.monotonic()
        """When Valkey was last away or new, or this process began: nobody is missed right after."""

    @property
    def live(self) -> Collection[Traveller]:
        """Everybody whose presence is kept up from here."""
        return self._live.values()

    def moved(self, traveller: Traveller) -> None:
        """A new position of a hustler in LIVE mode."""
        self._live[traveller.user] = traveller
        self._moved[traveller.user] = traveller
        self._wake.set()

    def sign(self, traveller: Traveller) -> None:
        """A sign of life without a position."""
        self._signs[traveller.user] = traveller
        self._wake.set()

    async def stop(self, traveller: Traveller) -> None:
        """Takes the hustler out of presence at once; what Valkey misses expires in 90 s."""
        for waiting in (self._live, self._moved, self._signs):
            waiting.pop(traveller.user, None)
        async with self._writing:
            await self._remove(traveller)

    async def _remove(self, traveller: Traveller) -> None:
        if traveller.generation is None:
            return
        try:
            await self._presence.remove(traveller.user, traveller.residence, traveller.generation)
        except ValkeyAway:
            log.info("presence_left_to_expire", hustler=str(traveller.user))

    async def last_places(self, hustlers: Collection[UserId]) -> dict[UUID, LastPlace]:
        """Where presence had these hustlers last; raises ValkeyAway."""
        return await self._presence.last_places(hustlers)

    async def run(self) -> None:
        """Round after round; for ever."""
        await steadily("heartbeats", self.round, backoff=Backoff(_PAUSE_S))

    async def round(self) -> None:
        """Writes what came, watches for a new server."""
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
            await self._write_moved()
            await self._write_signs()
        except ValkeyAway:
            self._away = True
            self.lost_at = time.monotonic()
            self._wake.set()
            raise

    async def _watch(self) -> None:
        """A new run id, or a server that was away: everything is written back."""
        run_id = await self._presence.run_id()
        if self._away or self._run_id not in (None, run_id):
            await self._write_back()
            self.lost_at = time.monotonic()
        self._run_id = run_id
        self._away = False

    async def _write_back(self) -> None:
        """Every live position whose hustler was heard lately, spread over two seconds at most."""
        now = time.monotonic()
        heard = [
            traveller
            for traveller in self._live.values()
            if now - traveller.heard_at < limits.PRESENT_S
        ]
        log.info("presence_written_back", hustlers=len(heard))
        batches = range(0, len(heard), limits.HEARTBEAT_BATCH)
        for start in batches:
            await self._write(heard[start : start + limits.HEARTBEAT_BATCH])
            await self._write_moved()
            if start != batches[-1]:
                await asyncio.sleep(limits.REWRITE_WITHIN_S / len(batches))

    async def _write_moved(self) -> None:
        while self._moved:
            batch = [self._moved.pop(user) for user in list(self._moved)[: limits.HEARTBEAT_BATCH]]
            try:
                await self._write(batch)
            except ValkeyAway:
                for traveller in batch:
                    if traveller.user in self._live:
                        self._moved.setdefault(traveller.user, traveller)
                raise

    async def _write_signs(self) -> None:
        batch = [
            (traveller, Sign(traveller.user, traveller.generation, traveller.residence))
            for traveller in self._signs.values()
            if traveller.generation is not None and traveller.residence is not None
        ]
        self._signs.clear()
        alive = await self._presence.refresh([sign for _, sign in batch])
        await self._write(
            [
                traveller
                for (traveller, _), seen in zip(batch, alive, strict=True)
                if not seen and traveller.user in self._live
            ]
        )

    async def _write(self, travellers: Sequence[Traveller]) -> None:
        """Writes those who are still live when their turn comes."""
        async with self._writing:
            await self._write_live([t for t in travellers if self._live.get(t.user) is t])

    async def _write_live(self, travellers: Sequence[Traveller]) -> None:
        new = [traveller for traveller in travellers if traveller.generation is None]
        generations = await self._presence.new_generations([traveller.user for traveller in new])
        for traveller, generation in zip(new, generations, strict=True):
            traveller.generation = generation
        beats = []
        now = time.monotonic()
        for traveller in travellers:
            assert traveller.generation is not None
            traveller.seq += 1
            beats.append(
                Beat(
                    hustler=traveller.user,
                    point=traveller.track.point,
                    generation=traveller.generation,
                    seq=traveller.seq,
                    residence=traveller.residence,
                    fix_age_ms=int(1000 * (now - traveller.fixed_at)),
                )
            )
        if not beats:
            return
        kept = await self._presence.write(beats)
        for traveller, residence in zip(travellers, kept, strict=True):
            traveller.residence = residence
