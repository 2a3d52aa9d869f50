"""The broadcaster: supervised loops that offer running broadcasts to eligible hustlers.

- *wake*: evaluates at once a broadcast that started, a hustler who came near or became offerable;
- *due*: what time alone changes, at its instant: a radius that grows, a broadcast that ends;
- *close*: asks how broadcasts ended, and withdraws their cards;
- *tick*: compares all broadcasts with everybody present, for whatever did not ring;
- *look*: reads the whole active set, at the start and when what changed is not known;
- *poll*: sends cards again that no socket took, and reads the prices of the market;
- *slots*: where several broadcasters share the work, renews the leases of this one;
- *acks*: records which cards reached a socket.

A round that fails is logged, counted and lost; its loop backs off and goes on. No state here
is authoritative: after a kill of this process, of PostgreSQL or of Valkey the next rounds find
everything again, and the primary key of `offers` prevents a second offer of the same pair.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from random import Random
from typing import Final
from uuid import UUID

from broadcast.active_broadcast import ActiveBroadcast, card_of
from broadcast.broadcaster_state import BroadcasterState
from broadcast.database_clock import DatabaseClock
from broadcast.due import DueInstants
from broadcast.evaluation import FEW_BROADCASTS, Evaluation
from broadcast.first_wave import FirstWaveSearch
from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopShare
from broadcast.market_price_cache import MarketPriceCache
from broadcast.offer_inserts import OfferInserts
from broadcast.ports import Delivery, WaveMetrics
from broadcast.roster import as_uuids
from broadcast.sent_reports import SentReports
from broadcast.slot_leases import SlotLeases
from broadcast.slots import Slots
from broadcast.takeover import Takeover
from broadcast.unsent_cards import UNKNOWN_LOOKS
from broadcast.wave_store import Ending, WaveStore, wave_of
from engine.events.changes import Changes
from engine.kernel.applied import Applied, StartedBroadcast
from engine.kernel.ids import UserId
from engine.kernel.loops import Backoff, supervise
from geo.presence.presence import Presence
from sql.database import Database

WAKE_ROUNDS: Final = 4
"""Rounds at once of what was woken: a first card does not wait for another's insert."""

DUE_ROUNDS: Final = 2
"""Rounds at once of what was due: a step on time does not wait for the insert of the one before."""

_LONGEST_WAIT_S: Final = 3600.0

SOON_S: Final = 0.05
"""When a broadcast is asked for again that has ended by this clock and not by the database's."""


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
        self._slots = Slots(self._limits.runs)
        self._share = LoopShare(self._limits.block_s)
        self._due_changed = asyncio.Event()
        self._clock = DatabaseClock(self._monotonic, self._due_changed.set)
        self._state = BroadcasterState.new(
            DueInstants(self._due_changed.set), self._limits.open_offers
        )
        self._store = WaveStore(database, self._clock, metrics, self._state.vocabulary)
        self._look = asyncio.Event()
        self._look.set()
        self._leases = SlotLeases(
            self._store, self._state, self._slots, self._limits, self._look.set
        )
        self._inserts = OfferInserts(
            self._store, self._state, delivery, metrics, self._limits, self._monotonic
        )
        self._evaluation = Evaluation(
            self._store, presence, self._state, self._inserts, self._clock, self._limits
        )
        prices = MarketPriceCache(self._store.market_prices, self._limits.market_s, self._monotonic)
        self._takeover = Takeover(
            self._store, self._state, self._inserts.unsent, self._clock, self._slots, prices
        )
        self.first_wave = FirstWaveSearch(
            self._store, presence, prices, self._state.vocabulary, self._limits
        )
        self._reports = SentReports(self._store, delivery, self._inserts.unsent)
        self._woken: set[UUID] = set()
        self._hustlers_woken: set[UUID] = set()
        self._wake = asyncio.Event()
        self._next_tick_s = 0.0
        self._tick_now = asyncio.Event()
        self._grown_at_s: list[float] = []
        """When those were due that the next tick offers to all at once."""
        self._ended_elsewhere: set[UUID] = set()
        """Broadcasts of other processes whose hustlers have places again, for the next poll."""

    def wake(self, broadcast_id: UUID) -> None:
        """Schedules an evaluation of this broadcast now; it may be new, known, or over."""
        if len(self._slots):
            self._woken.add(broadcast_id)
            self._wake.set()

    def wake_hustlers(self, hustlers: Collection[UUID]) -> None:
        """Schedules an evaluation of these hustlers now: they came near, or may be offerable.

        Whoever is known to have no free place is left alone.
        """
        if len(self._state.running):
            offerable = self._state.roster.may_be_offerable(hustlers, self._limits.open_offers)
            if offerable:
                self._hustlers_woken |= offerable
                self._wake.set()

    def shown(self, pairs: Iterable[tuple[UUID, UUID]]) -> None:
        """Notes cards, as (broadcast, hustler), that reached a socket of another process."""
        self._inserts.unsent.taken(pairs)

    def suspect(self, hustlers: Iterable[UUID]) -> None:
        """Schedules a look for cards of these hustlers that no socket took."""
        self._inserts.unsent.suspect(hustlers, self._monotonic())

    def applied(self, applied: Applied) -> None:
        """Acts on a committed command: what it started, what it ended, whom it concerns."""
        for started in applied.started:
            self._started(started)
        for closed in applied.closed:
            self._state.end(closed.broadcast_id)
        concerned = {*applied.withdrawn, *(event.user_id for event in applied.events)}
        self._hustlers_changed(concerned)

    def changed(self, changes: Changes) -> None:
        """Acts on what any transaction changed: broadcasts begun or ended, hustlers to read anew."""
        self._clock.set(changes.now, self._monotonic())
        if changes.all_may_have_changed:
            self._state.roster.all_changed()
            self._look.set()
        for broadcast in changes.broadcasts:
            if broadcast.state != "ACTIVE":
                if self._limits.runs == "SHARE" and broadcast.id not in self._state.running:
                    self._ended_elsewhere.add(broadcast.id)
                self._state.end(broadcast.id)
            elif broadcast.id not in self._state.running:
                self.wake(broadcast.id)
        self._hustlers_changed(changes.hustlers)

    async def compare_all(self) -> None:
        """Offers every running broadcast to every new eligible hustler present: one tick."""
        await self._evaluation.evaluate_all(self._share.loop_yield())

    async def run(self) -> None:
        """Runs the loops until cancelled; a failed round is logged, counted and backed off."""
        rounds = [
            ("close", self._close_ended),
            ("tick", self._tick),
            ("look", self._look_at_all),
            ("poll", self._poll),
            ("acks", self._record_acks),
            *[("wake", self._evaluate_woken)] * WAKE_ROUNDS,
            *[("due", self._evaluate_due)] * DUE_ROUNDS,
        ]
        if self._limits.runs == "SHARE":
            rounds.append(("slots", self._leases.renew))
        try:
            async with asyncio.TaskGroup() as loops:
                for name, work in rounds:
                    loops.create_task(
                        supervise(name, work, backoff=self._backoff, failed=self._metrics.failed)
                    )
        finally:
            await self._leases.release()

    # ── Loops ────────────────────────────────────────────────────────────────────────────────────

    async def _evaluate_woken(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        woken, self._woken = self._woken, set()
        hustlers, self._hustlers_woken = self._hustlers_woken, set()
        loop_yield = self._share.loop_yield()
        try:
            unknown = [i for i in woken if i not in self._state.running]
            taken = await self._takeover.take(unknown, loop_yield)
            broadcasts = [b for i in woken if (b := self._state.running.get(i)) is not None]
            try:
                await self._evaluation.evaluate(broadcasts, loop_yield)
            finally:
                self._state.untold.update(taken)
            if hustlers and len(self._state.running):
                await self._evaluation.evaluate_hustlers(hustlers, loop_yield)
        except BaseException:
            self._woken |= woken
            self._hustlers_woken |= hustlers
            self._wake.set()
            raise
        await self._tell_posters()

    async def _evaluate_due(self) -> None:
        await self._next_due()
        with self._share.urgent() as loop_yield:
            at = self._clock.now()
            grown: list[ActiveBroadcast] = []
            instants_s: list[float] = []
            for due_s, kind, broadcast_id in self._state.due.take(at.timestamp()):
                broadcast = self._state.running.get(broadcast_id)
                if broadcast is None:
                    continue
                if kind == "END":
                    self._state.end(broadcast_id)
                else:
                    self._state.grow_radius(broadcast, at)
                    grown.append(broadcast)
                    instants_s.append(due_s)
                await loop_yield.maybe_yield()
            if len(grown) > FEW_BROADCASTS:
                self._grown_at_s += instants_s
                self._tick_now.set()
                return
            try:
                await self._evaluation.evaluate_grown(grown, loop_yield)
                self._expanded(instants_s)
            finally:
                await self._tell_posters()

    async def _next_due(self) -> None:
        """Waits until something is due by the database's clock, or that clock turns out to differ."""
        self._due_changed.clear()
        wait_s = float("inf")
        if self._clock.is_known:
            wait_s = self._state.due.next_at_s() - self._clock.now().timestamp()
        if wait_s > 0:
            try:
                async with asyncio.timeout(min(wait_s, _LONGEST_WAIT_S)):
                    await self._due_changed.wait()
            except TimeoutError:
                return

    async def _close_ended(self) -> None:
        await self._state.is_over.wait()
        self._state.is_over.clear()
        over, self._state.over = self._state.over, set()
        try:
            endings = await self._store.endings(over)
        except BaseException:
            self._state.over |= over
            self._state.is_over.set()
            raise
        loop_yield = self._share.loop_yield()
        for ending in endings:
            self._close(ending)
            await loop_yield.maybe_yield()
        for broadcast_id in over - {ending.id for ending in endings}:
            self._state.resume(broadcast_id, self._clock.now(), SOON_S)
            self._due_changed.set()

    async def _tick(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._next_tick_s - self._monotonic())):
                await self._tick_now.wait()
        except TimeoutError:
            pass
        self._tick_now.clear()
        grown_at_s, self._grown_at_s = self._grown_at_s, []
        begun_s = self._monotonic()
        self._next_tick_s = begun_s + self._limits.tick_s
        if len(self._state.running):
            await self.compare_all()
            self._expanded(grown_at_s)
            self._metrics.ticked(self._monotonic() - begun_s)
        self._state.forget(begun_s)
        self._inserts.release_held()
        await self._tell_posters()

    async def _look_at_all(self) -> None:
        await self._look.wait()
        self._look.clear()
        try:
            known = set(self._state.running.ids)
            running = set(await self._store.running(self._slots.asked_for))
        except BaseException:
            self._look.set()
            raise
        for unknown in running - known:
            self.wake(unknown)
        for ended in known - running:
            self._state.end(ended)

    async def _poll(self) -> None:
        self._metrics.running(len(self._state.running))
        await self._takeover.refresh_prices(self._share.loop_yield())
        await self._free_places_of_others()
        due = await self._inserts.unsent.take_due(
            self._delivery.connected(), self._monotonic(), self._share.loop_yield()
        )
        if due:
            await self._send_again(list(due))
        await asyncio.sleep(self._limits.poll_s)

    async def _free_places_of_others(self) -> None:
        """Lets the hustlers of another process's ended broadcasts be read anew."""
        ended, self._ended_elsewhere = self._ended_elsewhere, set()
        if not ended:
            return
        try:
            offered = await self._store.offered(list(ended))
        except BaseException:
            self._ended_elsewhere |= ended
            raise
        for hustlers in offered.values():
            self._hustlers_changed(as_uuids(hustlers.all))

    async def _record_acks(self) -> None:
        await asyncio.sleep(self._limits.ack_s)
        await self._reports.record()

    # ── Steps ────────────────────────────────────────────────────────────────────────────────────

    def _started(self, started: StartedBroadcast) -> None:
        """Shows the wave that a broadcast's own transaction has offered, takes it in, and goes on."""
        wave = wave_of(started.wave)
        if wave is not None and wave.offers:
            self._inserts.deliver_first(wave, started.params)
        self._takeover.started(started, wave)
        if self._slots.has(started.params.partition):
            self.wake(started.params.id)

    def _expanded(self, instants_s: Sequence[float]) -> None:
        """Reports radii that were to grow at these instants, and whose rings are offered now."""
        now_s = self._clock.now().timestamp()
        self._metrics.expanded([now_s - due_s for due_s in instants_s])

    def _close(self, ending: Ending) -> None:
        broadcast = self._state.running.get(ending.id)
        if broadcast is None:
            return
        self.wake_hustlers(self._state.remove(broadcast))
        self._delivery.closed(broadcast.closed(ending))
        self._delivery.broadcast_update(
            UserId(broadcast.params.poster_id), broadcast.final_update(ending)
        )

    def _hustlers_changed(self, hustlers: Iterable[UUID]) -> None:
        known = self._state.roster.changed(list(hustlers))
        self.wake_hustlers(known)

    async def _send_again(self, hustlers: Sequence[UUID]) -> None:
        """Delivers what no socket took; who is beyond the limit, or was asked for in vain, is next."""
        unsent, limit = self._inserts.unsent, self._limits.resends_per_poll
        some, others = hustlers[:limit], hustlers[limit:]
        unsent.suspect(others, self._monotonic())
        try:
            wave = await self._store.unsent(some, self._limits.resend_after_s, limit)
        except BaseException:
            unsent.suspect(some, self._monotonic(), UNKNOWN_LOOKS)
            raise
        if len(wave.offers) >= limit:
            unsent.suspect(some, self._monotonic())
        if wave.offers:
            self._metrics.offers_resent(len(wave.offers))
            elsewhere = {offer.broadcast_id for offer in wave.offers} - self._state.running.ids
            params = await self._store.broadcasts(elsewhere) if elsewhere else []
            cards = {one.id: card_of(one) for one in params}
            await self._inserts.deliver(wave, self._share.loop_yield(), cards)

    async def _tell_posters(self) -> None:
        loop_yield = self._share.loop_yield()
        untold, self._state.untold = self._state.untold, set()
        for broadcast_id in untold:
            broadcast = self._state.running.get(broadcast_id)
            if broadcast is None:
                continue
            at, now_s = self._clock.now(), self._monotonic()
            update = broadcast.due_update(at, now_s, self._limits.update_gap_s)
            if update is None:
                self._state.untold.add(broadcast_id)  # a later round tells: the last is too young
            else:
                self._delivery.broadcast_update(UserId(broadcast.params.poster_id), update)
            await loop_yield.maybe_yield()
