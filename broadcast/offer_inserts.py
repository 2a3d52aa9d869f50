"""Inserts chosen pairs as offers, delivers what the insert returned, and learns from what it refused."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final
from uuid import UUID

import numpy as np

from broadcast.active_broadcast import card_of
from broadcast.broadcaster_state import BroadcasterState
from broadcast.hustler_columns import Mask
from broadcast.limits import WaveLimits
from broadcast.loop_yield import LoopYield
from broadcast.matching import Matches
from broadcast.ports import Delivery, WaveMetrics
from broadcast.unsent_cards import UNKNOWN_LOOKS, UnsentCards
from broadcast.wave_store import Wave, WaveStore
from engine.kernel.broadcast_params import BroadcastParams
from engine.kernel.ids import UserId
from engine.live.views import OfferCard
from sql.database import DatabaseAway

CARDS_AT_ONCE: Final = 16
SLOW_CALL_S: Final = 2.0
"""A call that takes so long is halved from then on; the statement time-out is 8 s."""
QUICK_CALL_S: Final = 0.25
"""A full call that is faster lets the next ones grow again."""


NO_CARDS: Final[Mapping[UUID, OfferCard]] = MappingProxyType({})


class OfferInserts:
    """Makes offers of reserved pairs; concurrent calls are safe, as each has pairs of its own."""

    def __init__(
        self,
        store: WaveStore,
        state: BroadcasterState,
        delivery: Delivery,
        metrics: WaveMetrics,
        limits: WaveLimits,
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._state = state
        self._delivery = delivery
        self._metrics = metrics
        self._limits = limits
        self._monotonic = monotonic
        self._per_call = limits.offers_per_call
        self._refused: Counter[int] = Counter()  # in a row, by roster row
        self._held: deque[tuple[float, int, int, int]] = deque()
        self.unsent = UnsentCards(limits)

    async def make(self, pairs: Matches, loop_yield: LoopYield) -> None:
        """Offers reserved pairs, best first, several calls in flight.

        Raises `DatabaseAway` after every call has ended; what was not inserted is free again.
        """
        calls = self._calls(pairs)

        async def work() -> None:
            for call in calls:
                await self._make(call, loop_yield)
                await asyncio.sleep(0)

        ended = await asyncio.gather(
            *(work() for _ in range(self._limits.calls_at_once)), return_exceptions=True
        )
        for call in calls:
            self._free(call)
        for failure in ended:
            if failure is not None:
                raise failure

    def deliver_first(self, wave: Wave, params: BroadcastParams) -> None:
        """Hands a first wave's few cards to delivery in this turn of the event loop."""
        card = card_of(params)
        self._hand_over(list(wave.deliveries(lambda _: card)))
        self._metrics.offers_made(len(wave.offers))
        if wave.at is not None:
            self._metrics.funded_to_insert((wave.at - params.started_at).total_seconds())

    async def deliver(
        self, wave: Wave, loop_yield: LoopYield, elsewhere: Mapping[UUID, OfferCard] = NO_CARDS
    ) -> None:
        """Hands the wave's cards to delivery in slices, best first, yielding between them.

        `elsewhere` has the shared cards of broadcasts that another process runs.
        """
        cards = wave.deliveries(lambda id_: self._state.card_of(id_) or elsewhere.get(id_))
        while slice_ := list(islice(cards, CARDS_AT_ONCE)):
            self._hand_over(slice_)
            await loop_yield.maybe_yield()

    def _hand_over(self, cards: Sequence[tuple[UserId, OfferCard]]) -> None:
        self._delivery.cards(cards)
        pairs = ((card.broadcast_id, hustler) for hustler, card in cards)
        self.unsent.delivered(pairs, self._monotonic())

    def release_held(self) -> None:
        """Frees the pairs whose holding time is over."""
        now_s = self._monotonic()
        while self._held and self._held[0][0] <= now_s:
            _, slot, serial, row = self._held.popleft()
            if self._state.running.serial[slot] == serial:
                self._state.offered.discard(np.array([slot]), np.array([row]))

    def _calls(self, pairs: Matches) -> Iterator[Matches]:
        start = 0
        while start < len(pairs):
            call = pairs.take(slice(start, start + self._per_call))
            start += len(call)
            yield call

    async def _make(self, pairs: Matches, loop_yield: LoopYield) -> None:
        running, roster = self._state.running, self._state.roster
        pairs = pairs.take(self._stands(pairs))
        if not len(pairs):
            return
        hustlers = roster.uuids(pairs.row)
        begun_s = self._monotonic()
        try:
            wave = await self._store.make_offers(
                broadcasts=[running.at(slot).params.id for slot in pairs.slot.tolist()],
                hustlers=hustlers,
                exact_miles=pairs.exact_miles.tolist(),
                place_miles=pairs.place_miles.tolist(),
                scores=pairs.score.tolist(),
                open_offers_max=self._limits.open_offers,
            )
        except BaseException as error:
            # whether they were inserted is unknown: the next insert of a pair says so; but whoever
            # is full with them is asked nothing, and needs the cards all the same
            self._free(pairs)
            if isinstance(error, DatabaseAway):
                self.unsent.suspect(set(hustlers), self._monotonic(), UNKNOWN_LOOKS)
                self._slower()
            raise
        self._pace(self._monotonic() - begun_s, len(pairs))
        await self.deliver(wave, loop_yield)
        self._count(wave)
        self._learn(wave, pairs, hustlers)

    def _pace(self, took_s: float, pairs: int) -> None:
        if took_s > SLOW_CALL_S:
            self._slower()
        elif took_s < QUICK_CALL_S and pairs >= self._per_call:
            self._per_call = min(2 * self._per_call, self._limits.offers_per_call)

    def _slower(self) -> None:
        self._per_call = max(1, self._per_call // 2)

    def _stands(self, pairs: Matches) -> Mask:
        """Returns which pairs are of broadcasts that still run.

        The bits and places of the others were given back with their broadcast, whose slot may have
        another one by now.
        """
        return np.asarray(self._state.running.serial[pairs.slot] == pairs.serial)

    def _free(self, pairs: Matches) -> None:
        """Gives back the bits and places of pairs that got no offer, as far as they still stand."""
        pairs = pairs.take(self._stands(pairs))
        self._state.offered.discard(pairs.slot, pairs.row)
        self._state.roster.offers_opened(pairs.row, -1)

    def _learn(self, wave: Wave, pairs: Matches, hustlers: Sequence[UUID]) -> None:
        """Corrects the roster by what the database refused."""
        meant = zip(pairs.serial.tolist(), hustlers, strict=True)
        number = {pair: n for n, pair in enumerate(meant)}
        for refused in wave.refused:
            broadcast = self._state.running.get(refused.broadcast_id)
            if broadcast is None:
                continue  # it has ended meanwhile, and its pairs are forgotten
            serial = int(self._state.running.serial[broadcast.slot])
            n = number.pop((serial, refused.hustler_id))
            pair = pairs.take(slice(n, n + 1))
            self._state.roster.offers_opened(pair.row, -1)
            against_its_word = self._state.roster.outdate(pair.row)
            if refused.result == "OVER":
                self._state.end(refused.broadcast_id)
            elif refused.result == "OFFERED":
                self.unsent.suspect([refused.hustler_id], self._monotonic())
            elif refused.result != "RELEASED":
                self._try_again(pair, serial, counts=against_its_word)
        if self._refused:
            for n in number.values():
                self._refused.pop(int(pairs.row[n]), None)

    def _try_again(self, pair: Matches, serial: int, *, counts: bool) -> None:
        """Frees a refused pair: at once, as its hustler's facts will be read anew, or held.

        The roster and the database may disagree for a reason that reading does not cure. A refusal
        `counts` towards that once for each read: a hustler who was full may be refused often in one call.
        """
        slot, row = int(pair.slot[0]), int(pair.row[0])
        self._refused[row] += counts
        if self._refused[row] < self._limits.refusals_in_row:
            self._state.offered.discard(pair.slot, pair.row)
        else:
            until_s = self._monotonic() + self._limits.refusal_holds_s
            self._held.append((until_s, slot, serial, row))

    def _count(self, wave: Wave) -> None:
        if wave.at is None:
            return
        self._metrics.offers_made(len(wave.offers))
        counts: defaultdict[UUID, int] = defaultdict(int)
        for offer in wave.offers:
            counts[offer.broadcast_id] += 1
        for broadcast_id, count in counts.items():
            broadcast = self._state.running.get(broadcast_id)
            if broadcast is not None:
                if not broadcast.notified:
                    waited = wave.at - broadcast.params.started_at
                    self._metrics.funded_to_insert(waited.total_seconds())
                self._state.running.notified(broadcast, count)
                self._state.untold.add(broadcast_id)
