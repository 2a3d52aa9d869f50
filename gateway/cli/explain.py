"""`hustlexp explain-offer`: why a hustler is offered a task, or why not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import msgspec

from engine.kernel.errors import Refusal
from engine.kernel.ids import TaskId, UserId
from engine.kernel.store import Store
from engine.matching.explanation_views import ExplainedBroadcast, ExplainedScore, OfferExplanation
from engine.matching.offer_explanation import OfferExplanations
from gateway.cli.run_file import deployment
from gateway.contract import encoding
from gateway.server.cli_errors import CommandError
from gateway.settings.groups import Settings
from geo.presence.presence import Presence
from geo.valkey import open_valkey
from sql.database import Database


def explain_offer(
    task: UUID, hustler: UUID, *, json: bool = False, data_dir: Path | None = None
) -> int:
    """Say clause by clause why the hustler is offered the task's latest broadcast, or why not.

    Args:
        task: The task's id.
        hustler: The hustler's id.
        json: Print what GET /v1/admin/tasks/{id}/explain answers: {"offered", "why_not",
            "clauses": [{"clause", "ok", "why", "reason"}], "score": {"total", "parts"} …}; score is
            null where the hustler is not seen.
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
    """
    settings = deployment(data_dir, os.environ)
    settings.demand("HX_POSTGRES_DSN", "HX_REDIS_URL")
    found = asyncio.run(_explain(settings, TaskId(task), UserId(hustler)))
    if json:
        print(msgspec.json.format(encoding.encode(found)).decode())
        return 0
    for line in lines(found):
        print(line)
    return 0


async def _explain(settings: Settings, task: TaskId, hustler: UserId) -> OfferExplanation:
    """Reads the database and presence; raises CommandError for an unknown task or hustler."""
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.postgres.dsn, size=2, statement_cache=0)
        stack.push_async_callback(database.close)
        client = open_valkey(settings.redis.url)
        stack.push_async_callback(client.close)
        limits = settings.broadcast.wave_limits()
        explanations = OfferExplanations(
            Store(database), Presence(client), limits.profile, limits.open_offers
        )
        try:
            return await explanations.explain(task, hustler)
        except Refusal as refusal:
            raise CommandError("There is no such task, or no such hustler.") from refusal


def lines(found: OfferExplanation) -> Iterator[str]:
    """Yields the explanation as text, the conclusion first."""
    yield "Offered." if found.offered else "Not offered."
    yield from (f"  {sentence}" for sentence in found.why_not)
    for clause in found.clauses:
        yield f"  {'yes' if clause.ok else 'NO '} {clause.clause}: {clause.why}"
    yield from _waves(found.broadcast)
    yield from _score(found.score)


def _waves(broadcast: ExplainedBroadcast | None) -> Iterator[str]:
    for wave in broadcast.waves if broadcast else ():
        inside = {True: "inside", False: "outside", None: "position unknown"}[wave.within]
        came = "began" if wave.begun else "begins"
        yield f"  wave of {wave.radius_miles:g} miles {came} {wave.at:%H:%M:%S}: {inside} now"


def _score(score: ExplainedScore | None) -> Iterator[str]:
    if score is None:
        yield "  score: known only for a hustler who is seen"
        return
    yield f"  score there now: {score.total:.3f}"
    for part in score.parts:
        yield f"    {part.component:8} {part.weight:.2f} × {part.value:.3f} = {part.points:.3f}"
