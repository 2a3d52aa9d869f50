"""The search for a first wave's candidates: pure choice, and on real presence and rosters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec
import numpy as np

from broadcast.first_wave import Nearby, choose, nearest
from broadcast.hustler_columns import HustlerColumns, Vocabulary
from broadcast.limits import WaveLimits
from broadcast.task_columns import task_columns
from engine.kernel.broadcast_params import StartingTask, TaskParams
from engine.live.first_wave import FirstWaveCandidates
from geo.distance import distance_m
from geo.points import LatLng
from geo.presence.present_hustlers import PresentHustlers
from geo.units import METRES_PER_MILE
from tests.broadcast.world import MIDDLE, World, north

LIMITS = WaveLimits()
TASK = TaskParams(
    task_id=uuid4(),
    poster_id=uuid4(),
    lat=MIDDLE.lat,
    lng=MIDDLE.lng,
    place_lat=MIDDLE.lat + 0.002,
    place_lng=MIDDLE.lng,
    category="moving",
    price_cents=4_000,
    created_at=datetime(2030, 1, 1, tzinfo=UTC),
    deadline=None,
    estimated_minutes=None,
    required_trust_tier=1,
    required_trade=None,
    insurance_required=False,
    background_check_required=False,
)
AT_S = TASK.created_at.timestamp()


def present_at(*miles: float) -> PresentHustlers:
    """Hustlers so many miles north of the middle."""
    points = [north(each) for each in miles]
    zeros = np.zeros(len(points), np.int64)
    return PresentHustlers(
        np.frombuffer(b"".join(uuid4().bytes for _ in points), "V16"),
        np.array([point.lat for point in points]),
        np.array([point.lng for point in points]),
        zeros.astype(np.uint64),
        zeros.astype(np.uint32),
        zeros,
        zeros,
    )


def everybody(nearby: Nearby) -> HustlerColumns:
    """All of them active and without history."""
    columns = HustlerColumns.empty(len(nearby))
    columns.active[:] = True
    return columns


def test_the_nearest_within_the_radius_are_read() -> None:
    """In their order, to the exact place; the card's distance is to the rounded one."""
    nearby = nearest(TASK, present_at(2.0, 0.5, 2.1, 1.0), 2.05, 48)
    assert np.round(nearby.exact_miles, 2).tolist() == [0.5, 1.0, 2.0]
    place = LatLng(TASK.place_lat, TASK.place_lng)
    assert nearby.place_miles[0] == distance_m(place, north(0.5)) / METRES_PER_MILE
    two = nearest(TASK, present_at(2.0, 0.5, 1.0), 3.0, 2)
    assert np.round(two.exact_miles, 2).tolist() == [0.5, 1.0]


def test_only_who_can_be_offered_it_is_chosen_best_first() -> None:
    """Nobody inactive, nobody full, nobody outside the gate; at most so many of the nearest."""
    nearby = nearest(TASK, present_at(0.1, 0.2, 0.3, 2.0, 2.5, 2.9), 3.0, 48)
    hustlers = everybody(nearby)
    hustlers.active[0] = False
    hustlers.open_offers[1] = LIMITS.open_offers
    hustlers.own_radius_miles[2] = 0.25
    hustlers.trust_tier[4] = 4
    columns = task_columns([TASK], Vocabulary.new())
    rows, scores = choose(columns, nearby, hustlers, AT_S, LIMITS)
    assert rows.tolist() == [4, 3, 5]
    assert (np.diff(scores) < 0).all()
    for few in (replace(LIMITS, first_offers=2), replace(LIMITS, offers_per_tick=2)):
        assert choose(columns, nearby, hustlers, AT_S, few)[0].tolist() == [4, 3]
    none = choose(columns, nearby, HustlerColumns.empty(len(nearby)), AT_S, LIMITS)
    assert [column.size for column in none] == [0, 0]


async def starting(world: World, **draft: object) -> StartingTask:
    """A task whose payment would start its broadcast, as the database tells of it."""
    poster, task = await world.task(**draft)  # type: ignore[arg-type]
    begun = await world.value("select begin_funding($1, $2)", poster, task)
    found: StartingTask = msgspec.convert(
        msgspec.json.decode(begun)["starting"], StartingTask, strict=False
    )
    return found


async def candidates(world: World, task: StartingTask) -> FirstWaveCandidates | None:
    """Who is found by a broadcaster that does not even run."""
    async with world.broadcaster() as broadcaster:
        return await broadcaster.first_wave.candidates(task, 3.0)


async def test_candidates_are_found_where_they_are_and_judged_as_the_database_does(
    world: World,
) -> None:
    """Present, within three miles, with a free place, wanting such work; nobody: None."""
    assert await candidates(world, await starting(world)) is None
    one = await world.hustler(1.0)
    two = await world.hustler(2.0, trust_tier=4)
    await world.hustler(3.1)
    await world.hustler(0.5, radius=1.0, categories=["cleaning"])
    task = await starting(world)
    found = await candidates(world, task)
    assert found is not None
    assert set(found.hustlers) == {one, two}
    assert found.version == task.version
    assert found.open_offers_max == LIMITS.open_offers
    assert found.scores == sorted(found.scores, reverse=True)
    exact = dict(zip(found.hustlers, found.exact_miles, strict=True))
    assert abs(exact[one] - 1.0) < 0.01
    assert abs(exact[two] - 2.0) < 0.01


async def test_what_the_wave_offers_is_what_the_search_found(world: World) -> None:
    """Handed to the booking, every candidate has an offer; a price of the market is in the score."""
    hustlers = {await world.hustler(1.0 + 0.1 * n) for n in range(3)}
    poster, task = await world.task()
    begun = msgspec.json.decode(await world.value("select begin_funding($1, $2)", poster, task))
    found = await candidates(world, msgspec.convert(begun["starting"], StartingTask, strict=False))
    assert found is not None
    booked = await world.value(
        "select book_funding($1::uuid, 'pay-' || $1::uuid, $2, $3)",
        UUID(begun["id"]),
        '{"ttl_s": 600, "initial_radius_miles": 3, "max_radius_miles": 10,'
        ' "expansion_step_miles": 2, "expansion_interval_s": 60}',
        msgspec.json.encode(found).decode(),
    )
    (begun_broadcast,) = msgspec.json.decode(booked)["started"]
    assert {UUID(offer[1]) for offer in begun_broadcast["wave"]["offers"]} == hustlers
    assert begun_broadcast["wave"]["refused"] == []
