"""The city's demand: neighbourhoods, kinds of tasks, an endless seeded list of tasks to post."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from bench.simulator.projection import Spot
from bench.simulator.streets import Streets
from engine.kernel import policy

CANCEL_SHARE = 0.04
SWITCH_SHARE = 0.5
RAISE_SHARE = 0.3
"""What posters choose after a broadcast without an accept; the rest cancel."""


class Neighbourhood(NamedTuple):
    """A round cloud of `spread_m`, with its shares of homes (hustlers) and of demand (tasks).

    `fare` is how many times the usual price posters pay where the hustler has to drive far.
    """

    name: str
    centre: Spot
    spread_m: float
    homes: float
    demand: float
    fare: float = 1.0


NEIGHBOURHOODS = (
    Neighbourhood("Downtown", Spot(150, 500), 900, 22, 24),
    Neighbourhood("Old Harbor", Spot(-2200, -300), 700, 12, 11),
    Neighbourhood("Southbank", Spot(600, -2900), 900, 15, 13),
    Neighbourhood("Park Rise", Spot(1500, 4300), 800, 12, 11),
    Neighbourhood("Eastfield", Spot(5200, 1100), 1000, 14, 12),
    Neighbourhood("Northgate", Spot(-1300, 6300), 800, 8, 8),
    Neighbourhood("Millbrook", Spot(7300, -3400), 900, 8, 8),
    Neighbourhood("Cedar Heights", Spot(6200, 5200), 800, 6, 6),
    Neighbourhood("Far Point", Spot(-1600, -8000), 600, 2, 4),
    Neighbourhood("Quarry Ridge", Spot(11300, 1200), 600, 1, 4),
    Neighbourhood("Timber Gap", Spot(17200, 2300), 300, 0, 5, fare=1.8),
)
VILLAGE = NEIGHBOURHOODS[-1]
"""No hustler lives there: its broadcasts wait for their radius to grow."""
VILLAGE_OPENS: Final = 1
"""Which of the first tasks comes from there, so that a visitor sees it from the start."""


class TaskKind(NamedTuple):
    """A kind of task: its usual price in cents, and seconds of work in life."""

    title: str
    category: str
    usual_cents: int
    work_s: float


TASK_KINDS = (
    TaskKind("Carry a sofa up two floors", "moving", 5_500, 230),
    TaskKind("Bring groceries to my mother", "delivery", 2_400, 80),
    TaskKind("Fetch a parcel before closing", "delivery", 2_000, 70),
    TaskKind("Fix a dripping tap", "handyman", 4_800, 210),
    TaskKind("Hang a heavy mirror", "handyman", 3_600, 140),
    TaskKind("Walk the dog, I am stuck", "pets", 2_200, 160),
    TaskKind("Clear the table after a party", "cleaning", 3_200, 210),
    TaskKind("Jump-start my car", "automotive", 3_900, 90),
    TaskKind("Set up the new router", "tech_help", 3_400, 140),
    TaskKind("Sweep leaves off the path", "yard", 2_600, 160),
    TaskKind("Wait in line for me", "errands", 2_300, 140),
    TaskKind("Put a wardrobe together", "assembly", 5_200, 250),
)
CATEGORIES = tuple(sorted({task_kind.category for task_kind in TASK_KINDS}))


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A task to be posted: when, where, what, and how its poster will behave.

    `wait_s` counts from the task before, in life; `patience_s` is None for posters who wait on.
    """

    number: int
    wait_s: float
    neighbourhood: str
    spot: Spot
    task_kind: TaskKind
    price_cents: int
    patience_s: float | None
    if_nobody: str


def home(rng: Random, streets: Streets) -> Spot:
    """Returns a random home."""
    weights = [n.homes for n in NEIGHBOURHOODS]
    return address(rng.choices(NEIGHBOURHOODS, weights)[0], rng, streets)


def cruising(rng: Random, streets: Streets) -> Spot:
    """Returns where a hustler without a task drives to: by demand, never out to the village."""
    weights = [n.demand if n.homes else 0 for n in NEIGHBOURHOODS]
    return address(rng.choices(NEIGHBOURHOODS, weights)[0], rng, streets)


def address(area: Neighbourhood, rng: Random, streets: Streets) -> Spot:
    """Returns a crossing near a random point of a neighbourhood's cloud."""
    aim = Spot(rng.gauss(area.centre.x, area.spread_m), rng.gauss(area.centre.y, area.spread_m))
    corner = streets.nearest(aim)
    return Spot(corner.x + rng.uniform(-40, 40), corner.y + rng.uniform(-40, 40))


def task_plans(seed: int, streets: Streets, per_hour: float) -> Iterator[TaskPlan]:
    """Yields tasks: Poisson arrivals, log-normal prices around each kind's usual one."""
    rng = Random(f"tasks {seed}")
    number = 0
    while True:
        task_kind = rng.choice(TASK_KINDS)
        area = VILLAGE
        if number != VILLAGE_OPENS:
            area = rng.choices(NEIGHBOURHOODS, [n.demand for n in NEIGHBOURHOODS])[0]
        spot = address(area, rng, streets)
        price = task_kind.usual_cents * area.fare * rng.lognormvariate(0.0, 0.3)
        yield TaskPlan(
            number=number,
            wait_s=rng.expovariate(per_hour / 3600),
            neighbourhood=area.name,
            spot=spot,
            task_kind=task_kind,
            price_cents=max(policy.LIVE_PRICE_MIN_CENTS, 50 * math.floor(price / 50)),
            patience_s=rng.uniform(30, 300) if rng.random() < CANCEL_SHARE else None,
            if_nobody=_if_nobody(rng.random()),
        )
        number += 1


def _if_nobody(mood: float) -> str:
    if mood < SWITCH_SHARE:
        return "SWITCH_TO_STANDARD"
    return "INCREASE_PRICE" if mood < SWITCH_SHARE + RAISE_SHARE else "CANCEL"
