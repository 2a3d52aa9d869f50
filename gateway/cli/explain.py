"""`hustlexp explain-offer`: why a hustler is offered a task, or why not."""

from __future__ import annotations

import asyncio
import json as json_text
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from broadcast.score_explanation import explain_score
from engine.matching.score import Part
from gateway.cli.run_file import deployment
from gateway.metrics.metrics import Metrics
from gateway.server.cli_errors import CommandError
from gateway.settings.groups import Settings
from geo import cells, distance, units
from geo.points import LatLng
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from sql.database import Database

OfferFacts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of an offer, whether it holds, and why."""

    what: str
    ok: bool
    why: str


@dataclass(frozen=True, slots=True)
class PresenceEntry:
    """The hustler's entry in presence, as seen from the task."""

    at: LatLng | None
    distance_miles: float | None
    known_elsewhere: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What the database and presence know of a task and a hustler, read once."""

    facts: OfferFacts
    gate: list[Clause]
    """The clauses of eligibility, as the database judges them."""
    presence_entry: PresenceEntry
    parts: list[Part] | None
    """Of the score that the pair would have there now; None without a broadcast or a sighting."""


def explain_offer(
    task: UUID, hustler: UUID, *, json: bool = False, data_dir: Path | None = None
) -> int:
    """Say clause by clause why the hustler is offered the task's latest broadcast, or why not.

    Args:
        task: The task's id.
        hustler: The hustler's id.
        json: Print {"offered", "clauses": [{"what", "ok", "why"}], "score": {"total", "parts":
            [{"component", "weight", "value", "points"}]}}; score is null where no broadcast runs
            or the hustler is not seen.
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
    """
    settings = deployment(data_dir, os.environ)
    settings.demand("HX_POSTGRES_DSN", "HX_REDIS_URL")
    found = asyncio.run(_look(settings, task, hustler))
    clauses = list(explanation(found, settings.broadcast.open_offers))
    offered = found.facts["offered_at"] is not None
    if json:
        rows = [asdict(clause) for clause in clauses]
        explained = {"offered": offered, "clauses": rows, "score": _score(found.parts)}
        print(json_text.dumps(explained, indent=2))
        return 0
    print("Offered." if offered else "Not offered.")
    for clause in clauses:
        print(f"  {'yes' if clause.ok else 'NO '} {clause.what}: {clause.why}")
    for line in _score_lines(found.parts):
        print(f"  {line}")
    return 0


async def _look(settings: Settings, task: UUID, hustler: UUID) -> Findings:
    """Reads the database and presence; raises CommandError for an unknown task or hustler."""
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.postgres.dsn, size=2, statement_cache=0)
        stack.push_async_callback(database.close)
        rows = await database.rows("explain_offer", task, hustler)
        if not rows:
            raise CommandError("There is no such task, or no such hustler.")
        facts: OfferFacts = rows[0]
        gate = [
            _eligibility_clause(*row)
            for row in await database.rows("explain_eligibility", task, hustler)
        ]
        client = open_valkey(settings.redis.url)
        stack.push_async_callback(client.close)
        place = LatLng(facts["location_lat"], facts["location_lng"])
        reach_miles = facts["max_radius_miles"] or settings.broadcast.max_miles
        presence_entry = await _presence_entry(Presence(client), hustler, place, reach_miles)
        parts: list[Part] | None = None
        if (broadcast := facts["broadcast_id"]) is not None and presence_entry.at is not None:
            profile = settings.broadcast.wave_limits().profile
            parts = await explain_score(
                database, Metrics().broadcasts, broadcast, hustler, presence_entry.at, profile
            )
        return Findings(facts, gate, presence_entry, parts)


async def _presence_entry(
    presence: Presence, hustler: UUID, place: LatLng, reach_miles: float
) -> PresenceEntry:
    found = await presence.within(cells.cover(place, units.metres(reach_miles)))
    for row, seen in enumerate(found.hustlers()):
        if seen == hustler:
            at = LatLng(float(found.lat[row]), float(found.lng[row]))
            miles = units.miles(distance.distance_m(place, at))
            return PresenceEntry(at, miles, known_elsewhere=False)
    return PresenceEntry(None, None, known_elsewhere=hustler in await presence.present([hustler]))


def explanation(found: Findings, open_offers_max: int) -> Iterator[Clause]:
    """Yields the clauses in the order in which the broadcaster and the database check them."""
    yield from _broadcast_clauses(found.facts)
    yield from _place_clauses(found.facts, found.presence_entry)
    yield from _hustler_clauses(found.facts, open_offers_max)
    yield from found.gate
    yield Clause("eligible", bool(found.facts["eligible"]), "the database's answer")
    yield _offer_clause(found.facts)


def _broadcast_clauses(facts: OfferFacts) -> Iterator[Clause]:
    if facts["broadcast_id"] is None:
        yield Clause("broadcast", False, f"none: the task is {facts['mode']} in {facts['state']}")
        return
    yield Clause(
        "broadcast running",
        facts["runs"],
        f"{facts['broadcast_state']}, {_time(facts['started_at'])} to {_time(facts['expires_at'])}",
    )


def _place_clauses(facts: OfferFacts, presence_entry: PresenceEntry) -> Iterator[Clause]:
    miles = presence_entry.distance_miles
    if miles is None:
        elsewhere = "present, but outside the largest radius"
        yield Clause("seen", False, elsewhere if presence_entry.known_elsewhere else "no heartbeat")
        return
    yield Clause("seen", True, f"{miles:.2f} miles away, within the last 90 s")
    if (radius := facts["radius_miles"]) is not None:
        growing = facts["next_expansion_at"]
        later = f", grows at {_time(growing)}" if growing else ", grows no more"
        yield Clause("inside the radius", miles <= radius, f"{radius:g} miles{later}")
    own = facts["own_radius_miles"]
    limit = "no limit" if own is None else f"{own:g} miles"
    yield Clause("inside the own radius", own is None or miles <= own, limit)


def _hustler_clauses(facts: OfferFacts, open_offers_max: int) -> Iterator[Clause]:
    reason, until = facts["live_state_reason"], facts["live_state_ends_at"]
    state = facts["live_state"] + (f" ({reason})" if reason else "")
    state += f" until {_time(until)}" if until else ""
    yield Clause("LIVE", facts["live_state"] == "ACTIVE", state)
    yield Clause("not busy", not facts["busy"], "holds a task" if facts["busy"] else "free")
    released = facts["released_it"]
    yield Clause("did not release it", not released, "gave this work back" if released else "never")
    wanted = facts["own_categories"]
    yield Clause(
        "wants the category",
        wanted is None or facts["category"] in wanted,
        "all are wanted" if wanted is None else f"{facts['category']} of {', '.join(wanted)}",
    )
    open_offers = facts["open_offers"]
    yield Clause(
        "room for an offer", open_offers < open_offers_max, f"{open_offers} of {open_offers_max}"
    )


def _eligibility_clause(clause: str, needed: str | None, has: str, ok: bool) -> Clause:  # noqa: FBT001  # a row
    """A row of `explain_eligibility`: what the database judged, in one line."""
    return Clause(clause, ok, has + (f", needed {needed}" if needed else ""))


def _offer_clause(facts: OfferFacts) -> Clause:
    if facts["offered_at"] is None:
        return Clause("offer", False, "not made")
    sent, answer = facts["sent_at"], facts["response"]
    return Clause(
        "offer",
        True,
        f"made {_time(facts['offered_at'])} at {facts['offered_distance_miles']:.2f} miles with "
        f"score {facts['matching_score']:.3f}, "
        + (f"written to a socket {_time(sent)}, " if sent else "not written to a socket yet, ")
        + (f"answered {answer} {_time(facts['responded_at'])}" if answer else "unanswered"),
    )


def _score(parts: list[Part] | None) -> dict[str, object] | None:
    if parts is None:
        return None
    return {
        "total": math.fsum(part.points for part in parts),
        "parts": [asdict(part) for part in parts],
    }


def _score_lines(parts: list[Part] | None) -> Iterator[str]:
    if parts is None:
        yield "score: known only for a running broadcast and a hustler who is seen"
        return
    yield f"score there now: {math.fsum(part.points for part in parts):.3f}"
    for part in parts:
        yield f"  {part.component:8} {part.weight:.2f} × {part.value:.3f} = {part.points:.3f}"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
