"""The map of the whole city, as observers are sent it: CITY and what it holds.

Positions are degrees, distances miles, money integer cents.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from engine.kernel.states import TaskState


class CityTask(Struct, frozen=True, omit_defaults=True):
    """A running task on the map.

    `radius_miles` is the broadcast's present radius while MATCHING, `initial_radius_miles` its first.
    `hustler` is [lat, lng] of whoever holds the task, when known, and `hustler_name` the first name.
    """

    id: UUID
    state: TaskState
    lat: float
    lng: float
    price_cents: int
    title: str
    radius_miles: float | None = None
    hustlers_notified: int = 0
    started_at: datetime | None = None
    expires_at: datetime | None = None
    hustler: tuple[float, float] | None = None
    hustler_name: str | None = None
    initial_radius_miles: float | None = None


class CityStats(Struct, frozen=True):
    """Figures of the whole city, seconds where named so, `today` = UTC day of the database clock."""

    sessions: int
    """Open WebSocket sessions, observers included."""
    live: int
    """Hustlers in LIVE mode whose position is known."""
    matching: int
    """Tasks being broadcast."""
    en_route: int
    """Tasks in ACCEPTED."""
    working: int
    """Tasks in WORKING or PROOF_SUBMITTED."""
    offers_today: int
    accepted_today: int
    paid_today: int
    no_accept_today: int
    median_time_to_accept_s: float | None
    p95_time_to_accept_s: float | None
    median_first_card_s: float | None
    """Machinery's share: funded → first card."""
    median_human_s: float | None
    """People's share: card → accept."""


CITY_STATE: Final[Mapping[str, int]] = {"ACTIVE": 0, "EN_ROUTE": 1, "WORKING": 2}
"""The third number of a hustler in CITY."""


class City(Struct, frozen=True):
    """The map: at most two frames a second, the whole picture each time.

    `hustlers` holds [lat, lng, state] with state 0 ACTIVE (waits for offers), 1 EN_ROUTE,
    2 WORKING; degrees rounded to 5 decimals.
    `pace` says how many times as fast as life the people of a simulated city live; null: people.
    """

    at: datetime
    hustlers: list[tuple[float, float, int]]
    tasks: list[CityTask]
    stats: CityStats
    pace: float | None = None
