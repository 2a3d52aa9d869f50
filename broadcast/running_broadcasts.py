"""The running broadcasts: one slot each in numpy columns, with the cells that all of them reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, KeysView
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from broadcast.active_broadcast import ActiveBroadcast
from broadcast.hustler_columns import Floats, Mask, Rows, Vocabulary
from broadcast.market_prices import MarketPrices
from broadcast.task_columns import TaskColumns
from broadcast.tiles import BroadcastTiles, squared_chord, unit_vectors
from engine.kernel.broadcast_params import BroadcastParams
from geo.cells import Cells, cover
from geo.units import METRES_PER_MILE


class RunningBroadcasts:
    """Broadcasts by id and by slot; a slot is given again after its broadcast has ended."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.tasks = TaskColumns.empty(64)
        self.exact: Floats = np.zeros((64, 3))
        """Unit vectors of the exact places."""
        self.radius_m: Floats = np.zeros(64)
        self.serial: NDArray[np.int64] = np.zeros(64, np.int64)
        """Which broadcast holds a slot: a number that is given once; 0: none."""
        self.fresh: Mask = np.zeros(64, np.bool_)
        """Whether nobody has been offered a broadcast yet."""
        self._by_id: dict[UUID, ActiveBroadcast] = {}
        self._by_slot: dict[int, ActiveBroadcast] = {}
        self._free: list[int] = []
        self._serials = 0
        self._reached: Counter[int] = Counter()
        self._cells: Cells | None = None
        self._tiles: BroadcastTiles | None = None
        self._slots: Rows | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[ActiveBroadcast]:
        return iter(list(self._by_id.values()))

    def __contains__(self, broadcast_id: UUID) -> bool:
        return broadcast_id in self._by_id

    @property
    def ids(self) -> KeysView[UUID]:
        """Returns the ids of all that run."""
        return self._by_id.keys()

    def get(self, broadcast_id: UUID) -> ActiveBroadcast | None:
        """Returns a broadcast, or None when it does not run."""
        return self._by_id.get(broadcast_id)

    def at(self, slot: int) -> ActiveBroadcast:
        """Returns the broadcast in a slot; raises KeyError when it is empty."""
        return self._by_slot[slot]

    def slots(self) -> Rows:
        """Returns the occupied slots."""
        if self._slots is None:
            self._slots = np.fromiter(self._by_slot, np.intp, len(self._by_slot))
        return self._slots

    def tiles(self, slots: Rows) -> BroadcastTiles:
        """Returns the broadcasts of these slots in tiles; those of `slots()` are kept."""
        if slots is not self._slots:
            return BroadcastTiles(self.exact[slots], self.radius_m[slots])
        if self._tiles is None:
            self._tiles = BroadcastTiles(self.exact[slots], self.radius_m[slots])
        return self._tiles

    def cells(self) -> Cells:
        """Returns the cells that any broadcast reaches: uint64 (n,), in order."""
        if self._cells is None:
            self._cells = np.sort(np.fromiter(self._reached, np.uint64, len(self._reached)))
        return self._cells

    def add(self, params: BroadcastParams, prices: MarketPrices, at: datetime) -> ActiveBroadcast:
        """Gives a broadcast its slot, with the radius it has at `at`, and returns it."""
        slot = self._free.pop() if self._free else len(self._by_id)
        if slot >= len(self.serial):
            self._grow(slot + slot // 2)
        broadcast = ActiveBroadcast(params, slot)
        self._by_id[params.id] = self._by_slot[slot] = broadcast
        self._serials += 1
        self.serial[slot] = self._serials
        self.fresh[slot] = True
        self.tasks.put(slot, params, self._vocabulary)
        self.tasks.market_price_cents[slot] = prices.of(params)
        place = unit_vectors(self.tasks.lat[slot : slot + 1], self.tasks.lng[slot : slot + 1])
        self.exact[slot] = place[0]
        self._slots = None
        self.grow_radius(broadcast, at)
        return broadcast

    def stop(self, broadcast: ActiveBroadcast) -> None:
        """Lets a broadcast reach nobody any more."""
        self.radius_m[broadcast.slot] = -1.0
        self._reach(broadcast, np.empty(0, np.uint64))

    def remove(self, broadcast: ActiveBroadcast) -> None:
        """Takes an ended broadcast out of its slot."""
        del self._by_id[broadcast.params.id]
        del self._by_slot[broadcast.slot]
        self.serial[broadcast.slot] = 0
        self._free.append(broadcast.slot)
        self._slots = None
        self.stop(broadcast)

    def may_reach(self, slot: int, points: Floats) -> Mask:
        """Returns which of n points, unit vectors (n, 3), may be in a broadcast's radius: all that are.

        With 1e-12 for what a product of unit vectors errs by: a metre more at most.
        """
        level = 1.0 - float(squared_chord(self.radius_m[slot])) / 2.0 - 1e-12
        return np.asarray(points @ self.exact[slot] >= level)

    def notified(self, broadcast: ActiveBroadcast, hustlers: int) -> None:
        """Counts hustlers who have just been offered a broadcast, at least one."""
        broadcast.notified += hustlers
        self.fresh[broadcast.slot] = False

    def grow_radius(self, broadcast: ActiveBroadcast, at: datetime) -> None:
        """Sets the radius that the plan has at `at`, and the cells that it reaches."""
        radius_m = broadcast.plan.radius_miles(at) * METRES_PER_MILE
        if radius_m != self.radius_m[broadcast.slot]:
            self.radius_m[broadcast.slot] = radius_m
            self._reach(broadcast, cover(broadcast.exact, radius_m))

    def price(self, prices: MarketPrices, broadcast: ActiveBroadcast) -> None:
        """Sets the market price of a broadcast, if it still runs."""
        if self._by_slot.get(broadcast.slot) is broadcast:
            self.tasks.market_price_cents[broadcast.slot] = prices.of(broadcast.params)

    def _reach(self, broadcast: ActiveBroadcast, cells: Cells) -> None:
        self._reached.update(cells.tolist())
        for cell in broadcast.cells.tolist():
            left = self._reached[cell] - 1
            if left:
                self._reached[cell] = left
            else:
                del self._reached[cell]
        broadcast.cells = cells
        self._cells = self._tiles = None

    def _grow(self, room: int) -> None:
        has = len(self.serial)
        self.tasks = self.tasks.grow(room)
        self.exact = np.concatenate((self.exact, np.zeros((room - has, 3))))
        self.radius_m = np.concatenate((self.radius_m, np.zeros(room - has)))
        self.serial = np.concatenate((self.serial, np.zeros(room - has, np.int64)))
        self.fresh = np.concatenate((self.fresh, np.zeros(room - has, np.bool_)))
