from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import islice, pairwise
from random import Random
from statistics import mean, median
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from bench.simulator.decisions import Temper, chance, draw_for, higher_price_cents, review, weigh
from bench.simulator.marlow_bay import wish_of
from bench.simulator.people import first_name
from bench.simulator.plans import task_plans
from bench.simulator.streets import Streets
from bench.simulator.time_scale import human_s
from engine.kernel import policy
from hustlexp_client import Offer, OfferedTask, Poster, RoundedLocation

PLAIN = Temper(choosy=0.0, quick=1.0)
cards = st.tuples(st.floats(0.2, 1.0), st.floats(0.0, 10.0), st.integers(1_500, 100_000))
"""(score, miles, price in cents)"""


def offer(broadcast: int, price_cents: int = 3_000, distance_miles: float = 1.0) -> Offer:
    """A card as the service sends it."""
    task = OfferedTask(
        id=UUID(int=broadcast + 1000),
        version=1,
        title="Fix a dripping tap",
        category="handyman",
        price_cents=price_cents,
        hustler_pay_cents=price_cents * 85 // 100,
        location=RoundedLocation(44.95, -123.98),
        distance_miles=distance_miles,
        description="",
        deadline=None,
        xp_multiplier=1.0,
    )
    expires = datetime(2026, 1, 1, tzinfo=UTC)
    return Offer(UUID(int=broadcast), task, 0.7, expires, Poster("Ada", 2))


@given(cards, cards)
def test_nearer_dearer_and_better_matching_tasks_are_likelier(
    a: tuple[float, float, int], b: tuple[float, float, int]
) -> None:
    """Acceptance is logistic: monotone in each of the three, never certain."""
    better = chance(max(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]))
    worse = chance(min(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]))
    assert 0 < worse <= better < 1


def test_the_same_person_thinks_the_same_of_the_same_card_in_every_run() -> None:
    """Ids that the service draws and the time of day play no part; another person may differ."""
    answers = [weigh(offer(n), PLAIN, draw_for(7, 3, offer(n))) for n in (1, 2)]
    assert answers[0] == answers[1]
    others = {weigh(offer(1), PLAIN, draw_for(7, person, offer(1))).after_s for person in range(9)}
    assert len(others) == 9


def test_refusals_name_a_reason_and_silence_names_none() -> None:
    """Every kind of answer occurs; only declines carry a reason."""
    choices = [weigh(offer(1, 1_500, 6.0), PLAIN, Random(n)) for n in range(800)]
    assert {choice.response for choice in choices} == {"ACCEPT", "DECLINE", "SKIP", None}
    assert all((v.reason is not None) == (v.response == "DECLINE") for v in choices)


def test_human_delays_are_log_normal() -> None:
    """The median is as stated, and the slow tail lifts the mean above it."""
    rng = Random(1)
    delays = [human_s(rng, 20.0) for _ in range(4000)]
    assert 19 < median(delays) < 21
    assert mean(delays) > 1.1 * median(delays)


def test_most_work_is_approved_and_what_was_done_again_always() -> None:
    """About one in twenty is turned down and one in a hundred disputed."""
    first = Counter(review(Random(n), again=False).choice for n in range(4_000))
    assert 150 < first["REJECT"] < 250
    assert 20 < first["DISPUTE"] < 65
    assert {review(Random(n), again=True).choice for n in range(400)} == {"APPROVE"}


@given(st.integers(1_500, 9_000_000))
def test_a_raised_price_is_higher_by_a_quarter_or_a_little_more(price_cents: int) -> None:
    """In steps of 50 cents; the service takes only a higher one."""
    raised = higher_price_cents(price_cents)
    assert price_cents * 1.25 <= raised < price_cents * 1.25 + 50
    assert raised % 50 == 0


def test_the_same_seed_wishes_the_same_tasks() -> None:
    """Number, place, price, whims: all of it."""
    streets = Streets(7)
    first, again = (list(islice(task_plans(7, streets, 30), 60)) for _ in range(2))
    assert first == again
    assert list(islice(task_plans(8, streets, 30), 60)) != first
    assert [wish_of(plan) for plan in first] == [wish_of(plan) for plan in again]
    many = islice(task_plans(7, streets, 30), 200)
    assert {p.if_nobody for p in many} == {"SWITCH_TO_STANDARD", "INCREASE_PRICE", "CANCEL"}


def test_tasks_arrive_at_the_rate_asked_for_and_none_is_below_the_least_price() -> None:
    """Poisson arrivals; LIVE-2's $15.00."""
    plans = list(islice(task_plans(3, Streets(7), 120), 600))
    assert 26 < mean(plan.wait_s for plan in plans) < 34
    assert min(plan.price_cents for plan in plans) >= policy.LIVE_PRICE_MIN_CENTS
    assert all(a.number + 1 == b.number for a, b in pairwise(plans))


def test_names_are_drawn_once_before_any_repeats() -> None:
    """The first hundred inhabitants can be told apart."""
    assert len({first_name(7, number) for number in range(100)}) == 100
    assert first_name(7, 5) == first_name(7, 5)
