"""The conditions of an offer, in the order in which the broadcaster and the database check them."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.matching.explanation_views import (
    Clause,
    EligibilityClause,
    ExplainedOffer,
    ExplainedPresence,
    ExplainedScore,
    PairFacts,
)
from engine.matching.score import HIDDEN_BELOW


def why_not(clauses: list[Clause]) -> list[str]:
    """Returns the reasons of the clauses that do not hold; one sentence where all do."""
    reasons = [clause.reason for clause in clauses if clause.reason is not None]
    return reasons or [
        "Nothing stands in the way: the next tick offers it, unless enough others score better."
    ]


def offer_clauses(
    facts: PairFacts,
    presence: ExplainedPresence,
    score_now: ExplainedScore | None,
    open_offers_max: int,
) -> list[Clause]:
    """Returns every condition in the order in which it is checked."""
    return [
        _broadcast_clause(facts),
        *_place_clauses(facts, presence),
        *_hustler_clauses(facts, open_offers_max),
        *(_eligibility_clause(clause) for clause in facts.eligibility),
        Clause("eligible", facts.eligible, "the database's answer"),
        *_score_clauses(score_now),
        _offer_clause(facts.offer),
    ]


def _clause(name: str, ok: bool, why: str, reason: str) -> Clause:  # noqa: FBT001  # a row
    return Clause(name, ok, why, None if ok else reason)


def _broadcast_clause(facts: PairFacts) -> Clause:
    broadcast = facts.broadcast
    if broadcast is None:
        why = f"none: the task is {facts.mode} in {facts.state}"
        return Clause("broadcast", False, why, f"There is no broadcast: {why.partition(': ')[2]}.")
    began, ends = _time(broadcast.started_at), _time(broadcast.ended_at or broadcast.expires_at)
    return _clause(
        "broadcast running",
        broadcast.runs,
        f"{broadcast.state}, {began} to {ends}",
        f"The broadcast ended as {broadcast.state} at {ends}; what follows is how things are now.",
    )


def _place_clauses(facts: PairFacts, presence: ExplainedPresence) -> list[Clause]:
    miles, broadcast = presence.distance_miles, facts.broadcast
    if miles is None:
        sentence = "Nobody has heard where the hustler is for at least 5 minutes."
        return [Clause("seen", False, "no heartbeat", sentence)]
    age = "" if presence.seen_age_s is None else f", heard of {presence.seen_age_s:.0f} s ago"
    found = [
        _clause(
            "seen",
            presence.seen,
            f"{miles:.2f} miles away{age}" if presence.seen else f"silent, {miles:.2f} miles away",
            "The hustler has been silent for over 90 seconds, or the last position is too old.",
        )
    ]
    if broadcast is not None:
        grows = broadcast.next_expansion_at
        later = f", grows at {_time(grows)}" if grows else ", grows no more"
        sentence = f"{miles:.2f} miles is outside the radius of {broadcast.radius_miles:g} miles."
        inside, why = miles <= broadcast.radius_miles, f"{broadcast.radius_miles:g} miles{later}"
        found.append(_clause("inside the radius", inside, why, sentence))
    own = facts.live.radius_miles
    limit = "no limit" if own is None else f"{own:g} miles"
    sentence = f"{miles:.2f} miles is outside the hustler's own radius of {limit}."
    found.append(_clause("inside the own radius", own is None or miles <= own, limit, sentence))
    return found


def _hustler_clauses(facts: PairFacts, open_offers_max: int) -> list[Clause]:
    live, wanted, count = facts.live, facts.live.categories, facts.open_offers
    state = live.state + (f" ({live.reason})" if live.reason else "")
    state += f" until {_time(live.ends_at)}" if live.ends_at else ""
    wishes = "all are wanted" if wanted is None else f"{facts.category} of {', '.join(wanted)}"
    return [
        _clause("LIVE", live.state == "ACTIVE", state, f"The hustler's LIVE mode is {state}."),
        _clause(
            "not busy",
            not facts.busy,
            "holds a task" if facts.busy else "free",
            "The hustler holds a task.",
        ),
        _clause(
            "did not release it",
            not facts.released_it,
            "gave this work back" if facts.released_it else "never",
            "The hustler accepted this work before and gave it back.",
        ),
        _clause(
            "wants the category",
            wanted is None or facts.category in wanted,
            wishes,
            f"The hustler does not want the category {facts.category}.",
        ),
        _clause(
            "room for an offer",
            count < open_offers_max,
            f"{count} of {open_offers_max}",
            f"The hustler has {count} open offers, and {open_offers_max} are the most.",
        ),
    ]


def _eligibility_clause(row: EligibilityClause) -> Clause:
    needed = f", needed {row.needed}" if row.needed else ""
    has = row.has or "none"
    sentence = f"Not eligible: {row.clause} is {has}{needed}."
    return _clause(row.clause, row.ok, row.has + needed, sentence)


def _score_clauses(score_now: ExplainedScore | None) -> list[Clause]:
    if score_now is None:
        return []
    why = f"{score_now.total:.3f} by {score_now.profile}, shown from {HIDDEN_BELOW:.2f}"
    sentence = f"The score is too low to be shown: {why}."
    return [_clause("score", score_now.visible, why, sentence)]


def _offer_clause(offer: ExplainedOffer | None) -> Clause:
    if offer is None:
        return Clause("offer", False, "not made")
    sent, answer, answered_at = offer.sent_at, offer.response, offer.responded_at
    return Clause(
        "offer",
        True,
        f"made {_time(offer.offered_at)} at {offer.distance_miles:.2f} miles with "
        f"score {offer.matching_score:.3f}, "
        + (f"written to a socket {_time(sent)}, " if sent else "not written to a socket yet, ")
        + (f"answered {answer} {_time(answered_at)}" if answer and answered_at else "unanswered"),
    )


def _time(at: datetime) -> str:
    """Returns a time within a sentence; times that are read by programs have fields of their own."""
    utc = at.astimezone(UTC)
    return f"{utc:%H:%M:%S} UTC on {utc.day} {utc:%B %Y}"
