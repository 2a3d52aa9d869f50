"""The live city feed, which the service sends to admins only: every hustler, task and figure."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from hustlexp_client.tasks import TaskState


class CityTask(Struct, frozen=True):
    """A running task on the map; `hustler` is its holder's (lat, lng), when known."""

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
    """Figures of the whole city: current, today's (UTC), and medians in seconds."""

    sessions: int
    live: int
    matching: int
    en_route: int
    working: int
    offers_today: int
    accepted_today: int
    paid_today: int
    no_accept_today: int
    median_time_to_accept_s: float | None
    p95_time_to_accept_s: float | None
    median_first_card_s: float | None
    median_human_s: float | None


class City(Struct, frozen=True):
    """CITY: the whole map at one time.

    `hustlers` holds (lat, lng, state) with state 0 waiting for offers, 1 en route, 2 working;
    `pace` is the speed of a simulated city, None for people.
    """

    at: datetime
    hustlers: list[tuple[float, float, int]]
    tasks: list[CityTask]
    stats: CityStats
    pace: float | None = None
