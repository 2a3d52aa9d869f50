"""The broadcaster: four supervised loops that offer running broadcasts to eligible hustlers.

- *wake*: evaluates a broadcast the moment it is woken, funded → first card in milliseconds;
- *tick*: evaluates all running broadcasts, for growing radii, late joiners and drive-ins;
- *poll*: reads the active broadcasts each second, to catch lost wake-ups and changes by other
  processes or psql; closes those that ended and resends cards that no socket acknowledged;
- *acks*: records which cards reached a socket.

A round that fails is logged, counted and lost; its loop backs off and goes on. No state here
is authoritative: after a kill of this process, of PostgreSQL or of Valkey the next rounds find
everything again, and the primary key of `offers` prevents a second offer of the same pair.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from random import Random
from uuid import UUID

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.database_clock import DatabaseClock
from broadcast.evaluation import Evaluation
from broadcast.limits import WaveLimits
from broadcast.ports import Delivery, WaveMetrics
from broadcast.wave_store import WaveStore
from engine.kernel.applied import Applied
from engine.kernel.ids import UserId
from engine.kernel.loops import Backoff, supervise
from geo.presence.presence import Presence
from sql.database import Database


class Broadcaster:
    """Runs the waves of all ACTIVE broadcasts; `run` it in the root's TaskGroup."""

    def __init__(
        self,
        database: Database,
        presence: Presence,
        delivery: Delivery,
        metrics: WaveMetrics,
        *,
        random: Random,
        limits: WaveLimits | None = None,
    ) -> None:
        self._limits = limits or WaveLimits()
        self._delivery = delivery
        self._metrics = metrics
        self._backoff = Backoff(self._limits.backoff_s, self._limits.backoff_max_s, random)
        self._monotonic = time.monotonic
        clock = DatabaseClock(self._monotonic)
        self._store = WaveStore(database, clock, metrics)
        self._evaluation = Evaluation(
            store=self._store,
            presence=presence,
            delivery=delivery,
            metrics=metrics,
            clock=clock,
            limits=self._limits,
        )
        self._running: dict[UUID, ActiveBroadcast] = {}
        self._woken: set[UUID] = set()
        self._wake = asyncio.Event()
        self._next_tick_s = 0.0

    def wake(self, broadcast_id: UUID) -> None:
        """Schedules an evaluation of this broadcast now; it may be new, known, or over."""
        self._woken.add(broadcast_id)
        self._wake.set()

    def applied(self, applied: Applied) -> None:
        """Wakes every broadcast that a committed command has started."""
        for broadcast_id in applied.started:
            self.wake(broadcast_id)

    async def run(self) -> None:
        """Runs the four loops until cancelled; a failed round is logged, counted and backed off."""
        rounds = {
            "wake": self._evaluate_woken,
            "tick": self._tick,
            "poll": self._poll,
            "acks": self._record_acks,
        }
        async with asyncio.TaskGroup() as loops:
            for name, work in rounds.items():
                loops.create_task(
                    supervise(name, work, backoff=self._backoff, failed=self._metrics.failed)
                )

    async def _evaluate_woken(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        woken, self._woken = self._woken, set()
        # A round lost here is caught by the poll, which wakes every unknown broadcast.
        unknown = woken - self._running.keys()
        if unknown:
            for params in await self._store.broadcasts(unknown):
                self._running.setdefault(params.id, ActiveBroadcast(params))
        await self._evaluation.evaluate([self._running[i] for i in woken if i in self._running])

    async def _tick(self) -> None:
        await asyncio.sleep(max(0.0, self._next_tick_s - self._monotonic()))
        begun_s = self._monotonic()
        self._next_tick_s = begun_s + self._limits.tick_s
        if self._running:
            await self._evaluation.evaluate(list(self._running.values()))
            self._metrics.ticked(self._monotonic() - begun_s)

    async def _poll(self) -> None:
        known = set(self._running)
        poll = await self._store.poll(self._limits.resend_after_s, self._limits.resends_per_poll)
        running = set(poll.running)
        for unknown in running - self._running.keys():
            self.wake(unknown)
        if ended := known - running:
            await self._close(ended)
        self._metrics.running(len(self._running))
        connected = self._delivery.connected()
        if here := [hustler for hustler in poll.unsent if hustler in connected]:
            await self._send_again(here)
        await asyncio.sleep(self._limits.poll_s)

    async def _close(self, ended: set[UUID]) -> None:
        for ending in await self._store.endings(ended):
            broadcast = self._running.pop(ending.id)
            self._delivery.closed(broadcast.closed(ending))
            self._delivery.broadcast_update(
                UserId(broadcast.params.poster_id), broadcast.final_update(ending)
            )

    async def _send_again(self, hustlers: Collection[UUID]) -> None:
        wave = await self._store.unsent(
            hustlers, self._limits.resend_after_s, self._limits.resends_per_poll
        )
        if wave.offers:
            self._metrics.offers_resent(len(wave.offers))
            await self._evaluation.deliver(wave)

    async def _record_acks(self) -> None:
        await asyncio.sleep(self._limits.ack_s)
        if taken := self._delivery.taken():
            await self._store.sent(taken)
