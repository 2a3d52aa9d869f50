"""Supply and demand by cell of H3: where work waits, who could take it, how fast it is taken."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from msgspec import Struct

from engine.kernel.store import Store
from gateway.tracking.location_tracker import LocationTracker
from geo import cells
from geo.points import LatLng

FRESH_S: Final = 10.0
"""Readers within this time share one look; without a reader there is none."""
MAX_ROWS: Final = 50_000
"""Waiting tasks, and accepted ones, that are looked at: the newest."""
MAX_CELLS: Final = 5_000
"""Cells in one answer: those with the most waiting tasks, then the most hustlers."""
POINTS_PER_TURN: Final = 2_000
"""Points that are put into cells before the event loop has its turn again: some 2 ms."""


class DemandCell(Struct, frozen=True):
    """One cell: its id as H3 writes it, its centre, and what is in it.

    `median_time_to_accept_s` is over the `accepted` broadcasts of the last 24 hours; null without.
    """

    cell: str
    lat: float
    lng: float
    open_tasks: int
    active_hustlers: int
    accepted: int
    median_time_to_accept_s: float | None


class Demand(Struct, frozen=True):
    """All cells with anything in them, as it was at `computed_at`."""

    computed_at: datetime
    cell_resolution: int
    open_tasks: int
    active_hustlers: int
    cells: list[DemandCell]


class _Rows(Struct, frozen=True):
    at: datetime
    waiting: list[tuple[float, float]]
    accepted: list[tuple[float, float, float]]


class _Look(Struct, frozen=True):
    """What one look found, and the answers made of it by resolution."""

    rows: _Rows
    hustlers: list[LatLng]
    answers: dict[int, Demand]


class DemandByCell:
    """Computes supply and demand once for all who ask within ten seconds."""

    def __init__(
        self,
        store: Store,
        location_tracker: LocationTracker,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._location_tracker = location_tracker
        self._monotonic = monotonic
        self._one_look = asyncio.Lock()
        self._look: _Look | None = None
        self._looked_at = 0.0

    async def at(self, resolution: int) -> Demand:
        """Returns supply and demand by the cells of this resolution, at most ten seconds old."""
        async with self._one_look:
            look = self._look
            if look is None or self._monotonic() - self._looked_at >= FRESH_S:
                rows = await self._store.one(_Rows, "demand", MAX_ROWS)
                hustlers = [tracked.track.point for tracked in self._location_tracker.live]
                look = self._look = _Look(rows, hustlers, {})
                self._looked_at = self._monotonic()
            if resolution not in look.answers:
                look.answers[resolution] = await _by_cell(look, resolution)
            return look.answers[resolution]


async def _by_cell(look: _Look, resolution: int) -> Demand:
    rows = look.rows
    waiting = Counter(await _cells((LatLng(*place) for place in rows.waiting), resolution))
    active = Counter(await _cells(look.hustlers, resolution))
    places = (LatLng(lat, lng) for lat, lng, _ in rows.accepted)
    seconds: defaultdict[int, list[float]] = defaultdict(list)
    for cell, (_, _, accept_s) in zip(await _cells(places, resolution), rows.accepted, strict=True):
        seconds[cell].append(accept_s)
    most_first = sorted(
        waiting.keys() | active.keys() | seconds.keys(),
        key=lambda cell: (-waiting[cell], -active[cell], cell),
    )
    return Demand(
        computed_at=rows.at,
        cell_resolution=resolution,
        open_tasks=waiting.total(),
        active_hustlers=active.total(),
        cells=[
            DemandCell(
                cell=f"{cell:x}",
                lat=round(cells.centre_of(cell).lat, 5),
                lng=round(cells.centre_of(cell).lng, 5),
                open_tasks=waiting[cell],
                active_hustlers=active[cell],
                accepted=len(seconds.get(cell, ())),
                median_time_to_accept_s=(
                    statistics.median(seconds[cell]) if cell in seconds else None
                ),
            )
            for cell in most_first[:MAX_CELLS]
        ],
    )


async def _cells(points: Iterable[LatLng], resolution: int) -> list[int]:
    """Returns the cell of each point; gives the event loop its turn every few thousand."""
    found: list[int] = []
    for point in points:
        found.append(cells.cell_of(point, resolution))
        if len(found) % POINTS_PER_TURN == 0:
            await asyncio.sleep(0)
    return found
