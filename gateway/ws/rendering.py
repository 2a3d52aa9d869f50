"""Durable events as their user may see them: the log never holds a code (design §2, Codes)."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec

from engine.ids import TaskId
from engine.queries import Queries
from engine.views import UserEvent


def needs_code(event: UserEvent) -> bool:
    """JOB_ASSIGNED for the poster: the start code is filled in when it is told."""
    return event.type == "JOB_ASSIGNED" and event.data["hustler_id"] != str(event.user_id)


async def complete(queries: Queries, events: Iterable[UserEvent]) -> list[UserEvent]:
    """The events with their codes."""
    return [
        await _with_start_code(queries, event) if needs_code(event) else event for event in events
    ]


async def _with_start_code(queries: Queries, event: UserEvent) -> UserEvent:
    code = await queries.start_code(TaskId(UUID(event.data["task_id"])))
    return msgspec.structs.replace(event, data=event.data | {"start_code": code})
