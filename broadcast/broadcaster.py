"""The broadcaster: four loops that bring every running broadcast to everyone it may reach.

- *bell*: evaluates a broadcast the moment it rings, funded → first card in milliseconds;
- *tick*: evaluates all running broadcasts, for growing radii, late joiners and drive-ins;
- *pulse*: asks the database who runs, each second: the net under lost bells, other processes and
  psql; it closes what has ended and sends again what no socket took;
- *report*: writes down which cards reached a socket.

A round that fails is logged, counted and lost; its loop backs off and goes on. Nothing here is
truth: after a kill of this process, of PostgreSQL or of Valkey the next rounds find everything
again, and the primary key of `offers` keeps anyone from being offered twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from random import Random
from uuid import UUID

from broadcast.active_broadcast import Running
from broadcast.database_clock import DatabaseClock
from broadcast.evaluation import Evaluation
from broadcast.limits import WaveLimits
from broadcast.ports import Delivery, WaveMetrics
from broadcast.wave_store import WaveStore
from engine.kernel.applied import Applied
from engine.kernel.ids import UserId
from engine.kernel.loops import Backoff, steadily
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
        self._running: dict[UUID, Running] = {}
        self._rung: set[UUID] = set()
        self._bell = asyncio.Event()
        self._next_tick_s = 0.0

    def ring(self, broadcast_id: UUID) -> None:
        """Evaluate this broadcast now; it may be new, known, or over."""
        self._rung.add(broadcast_id)
        self._bell.set()

    def applied(self, applied: Applied) -> None:
        """Evaluate what a committed command has started."""
        for broadcast_id in applied.started:
            self.ring(broadcast_id)

    async def run(self) -> None:
        """Work until cancelled."""
        rounds = {
            "bell": self._answer_bell,
            "tick": self._tick,
            "pulse": self._pulse,
            "report": self._report,
        }
        async with asyncio.TaskGroup() as loops:
            for name, work in rounds.items():
                loops.create_task(
                    steadily(name, work, backoff=self._backoff, failed=self._metrics.failed)
                )

    async def _answer_bell(self) -> None:
        await self._bell.wait()
        self._bell.clear()
        rung, self._rung = self._rung, set()
        # A round lost here is caught by the pulse, which rings for every unknown broadcast.
        unknown = rung - self._running.keys()
        if unknown:
            for facts in await self._store.broadcasts(unknown):
                self._running.setdefault(facts.id, Running(facts))
        await self._evaluation.evaluate([self._running[i] for i in rung if i in self._running])

    async def _tick(self) -> None:
        await asyncio.sleep(max(0.0, self._next_tick_s - self._monotonic()))
        begun_s = self._monotonic()
        self._next_tick_s = begun_s + self._limits.tick_s
        if self._running:
            await self._evaluation.evaluate(list(self._running.values()))
            self._metrics.ticked(self._monotonic() - begun_s)

    async def _pulse(self) -> None:
        known = set(self._running)
        pulse = await self._store.pulse(self._limits.resend_after_s, self._limits.resends_per_pulse)
        running = set(pulse.running)
        for unknown in running - self._running.keys():
            self.ring(unknown)
        if ended := known - running:
            await self._close(ended)
        self._metrics.running(len(self._running))
        connected = self._delivery.connected()
        if here := [hustler for hustler in pulse.unsent if hustler in connected]:
            await self._send_again(here)
        await asyncio.sleep(self._limits.pulse_s)

    async def _close(self, ended: set[UUID]) -> None:
        for ending in await self._store.endings(ended):
            broadcast = self._running.pop(ending.id)
            self._delivery.closed(broadcast.closed(ending))
            self._delivery.broadcast_update(
                UserId(broadcast.facts.poster_id), broadcast.last_news(ending)
            )

    async def _send_again(self, hustlers: Collection[UUID]) -> None:
        wave = await self._store.unsent(
            hustlers, self._limits.resend_after_s, self._limits.resends_per_pulse
        )
        if wave.offers:
            self._metrics.offers_resent(len(wave.offers))
            await self._evaluation.deliver(wave)

    async def _report(self) -> None:
        await asyncio.sleep(self._limits.report_s)
        if taken := self._delivery.taken():
            await self._store.sent(taken)
