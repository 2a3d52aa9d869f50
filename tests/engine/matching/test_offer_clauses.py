"""What stands in the way of an offer, as it is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from engine.matching.explanation_views import (
    EligibilityClause,
    ExplainedBroadcast,
    ExplainedLive,
    ExplainedPresence,
    ExplainedScore,
    PairFacts,
    Point,
)
from engine.matching.offer_clauses import offer_clauses, why_not

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
BROADCAST = ExplainedBroadcast(
    UUID(int=1), "ACTIVE", True, AT, AT + timedelta(minutes=10), None, 3.0, None, []
)
LIVE = ExplainedLive("ACTIVE", None, None, None, None)
FINE = PairFacts(
    at=AT, mode="LIVE", state="MATCHING", category="moving", exact=Point(0, 0), place=Point(0, 0),
    broadcast=BROADCAST, live=LIVE, busy=False, released_it=False, eligible=True,
    eligibility=[EligibilityClause("trade", None, "", True)], open_offers=9, offer=None, inputs={},
)  # fmt: skip
SEEN = ExplainedPresence(True, 3.0, 5.0, 1.5)
SCORE = ExplainedScore("hx-1.0", 0.5, True, [])


def reasons(
    facts: PairFacts, presence: ExplainedPresence = SEEN, score: ExplainedScore | None = SCORE
) -> list[str]:
    """What is said of a pair under a cap of ten."""
    return why_not(offer_clauses(facts, presence, score, 10))


def test_where_nothing_stands_in_the_way_that_is_said() -> None:
    """The offer is to come."""
    assert len(reasons(FINE)) == 1
    assert reasons(FINE)[0].startswith("Nothing stands in the way")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"busy": True}, "The hustler holds a task."),
        ({"released_it": True}, "The hustler accepted this work before and gave it back."),
        ({"open_offers": 10}, "The hustler has 10 open offers, and 10 are the most."),
        (
            {"live": ExplainedLive("COOLDOWN", "FATIGUE", AT, None, None)},
            "The hustler's LIVE mode is COOLDOWN (FATIGUE) until 03:04:05 UTC on 2 January 2030.",
        ),
        (
            {"eligibility": [EligibilityClause("trade", "plumber", "", False)]},
            "Not eligible: trade is none, needed plumber.",
        ),
        (
            {"broadcast": None, "mode": "STANDARD", "state": "OPEN"},
            "There is no broadcast: the task is STANDARD in OPEN.",
        ),
    ],
)
def test_each_obstacle_is_one_sentence(change: dict[str, object], sentence: str) -> None:
    """And nothing else is said beside it."""
    assert reasons(msgspec.structs.replace(FINE, **change)) == [sentence]


def test_silence_and_a_score_too_low_are_obstacles_too() -> None:
    """Known from presence and from the profile, not from the database."""
    silent = ExplainedPresence(False, None, 200.0, 1.5)
    assert reasons(FINE, presence=silent) == [
        "The hustler has been silent for over 90 seconds, or the last position is too old."
    ]
    low = ExplainedScore("hx-cal-1", 0.1999, False, [])
    assert reasons(FINE, score=low)[0].startswith("The score is too low to be shown: 0.200 by")
