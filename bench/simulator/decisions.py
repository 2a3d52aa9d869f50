"""What people decide, as pure functions of what they see, who they are, and a random source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Literal

from bench.simulator.time_scale import human_s
from hustlexp_client import Offer

LOOK_MEDIAN_S = 36.0
"""Seconds of life from a card's arrival to the answer, for a task 0.5 miles away; farther ones take
longer."""
NEAREST_MILES = 0.1
DECLINE_SHARE = 0.10
SKIP_SHARE = 0.15
"""Shares of the cards not accepted; the rest is left unanswered."""
FAR_MILES = 4.0
LOW_PRICE_CENTS = 2_000
RELEASE_SHARE = 0.03
REVIEW_MEDIAN_S = 35.0
"""Seconds of life a poster takes to review submitted work."""
REJECT_SHARE = 0.05
DISPUTE_SHARE = 0.01
"""Of the finished works; one that was done again is always good enough."""
RAISE = 1.25


@dataclass(frozen=True, slots=True)
class Temper:
    """A hustler's traits: `choosy` lowers the odds of accepting, `quick` multiplies the delay."""

    choosy: float
    quick: float

    @staticmethod
    def drawn(rng: Random) -> Temper:
        """Returns a random temper."""
        return Temper(rng.gauss(0.0, 0.7), rng.lognormvariate(0.0, 0.25))


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """A poster's verdict on submitted work, given after `after_s` seconds of life."""

    choice: Literal["APPROVE", "REJECT", "DISPUTE"]
    after_s: float


@dataclass(frozen=True, slots=True)
class OfferDecision:
    """A hustler's answer to a card after `after_s` seconds of life; None is silence."""

    response: Literal["ACCEPT", "DECLINE", "SKIP"] | None
    after_s: float
    reason: str | None = None


def chance(score: float, distance_miles: float, price_cents: int, choosy: float = 0.0) -> float:
    """Returns the probability that a card is accepted: logistic in score, distance and price.

    >>> chance(0.8, 0.5, 4000) > chance(0.8, 3.0, 4000) > chance(0.8, 3.0, 1500)
    True
    """
    log_odds = (
        -1.0
        + 3.0 * (score - 0.65)
        - 1.6 * math.log(max(distance_miles, NEAREST_MILES) / 0.7)
        + 1.1 * math.log(price_cents / 3000)
        - choosy
    )
    return 1 / (1 + math.exp(-log_odds))


def weigh(offer: Offer, temper: Temper, rng: Random) -> OfferDecision:
    """Returns a hustler's answer to an offer."""
    task = offer.task
    hesitation = 0.6 + 0.8 * task.distance_miles
    after_s = human_s(rng, LOOK_MEDIAN_S * temper.quick * hesitation)
    odds = chance(offer.matching_score, task.distance_miles, task.price_cents, temper.choosy)
    if rng.random() < odds:
        return OfferDecision("ACCEPT", after_s)
    mood = rng.random()
    if mood < DECLINE_SHARE:
        return OfferDecision("DECLINE", after_s, _reason(task.distance_miles, task.price_cents))
    return OfferDecision("SKIP" if mood < DECLINE_SHARE + SKIP_SHARE else None, after_s)


def review(rng: Random, *, again: bool) -> ReviewDecision:
    """Returns a poster's decision on a proof; `again` when an earlier one was rejected."""
    after_s = human_s(rng, REVIEW_MEDIAN_S)
    mood = rng.random()
    if again or mood >= REJECT_SHARE + DISPUTE_SHARE:
        return ReviewDecision("APPROVE", after_s)
    return ReviewDecision("REJECT" if mood < REJECT_SHARE else "DISPUTE", after_s)


def higher_price_cents(price_cents: int) -> int:
    """Returns the price after a broadcast without an accept: a quarter more, in steps of 50 cents.

    >>> higher_price_cents(4010)
    5050
    """
    return 50 * math.ceil(price_cents * RAISE / 50)


def _reason(distance_miles: float, price_cents: int) -> str:
    if distance_miles > FAR_MILES:
        return "Too far"
    return "Price too low" if price_cents < LOW_PRICE_CENTS else "Not my kind of work"


def draw_for(seed: int, hustler: int, offer: Offer) -> Random:
    """Returns the random source of one hustler's decision on one card.

    It depends on what the card says, not on when it came or on ids the service drew, so the same
    seed thinks the same thoughts in every run.
    """
    task = offer.task
    place = f"{task.location.lat:.4f} {task.location.lng:.4f}"
    return Random(f"{seed} {hustler} {task.title} {task.price_cents} {place}")
