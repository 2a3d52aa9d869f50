"""Fills codes into durable events for their user: the log never holds a code (design §2)."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import msgspec

from engine.kernel.applied import UserEvent
from engine.kernel.ids import TaskId
from engine.tasks.codes import TaskCodes


def needs_code(event: UserEvent) -> bool:
    """Returns whether the start code is to be filled in: JOB_ASSIGNED for the poster."""
    return event.type == "JOB_ASSIGNED" and event.data["hustler_id"] != str(event.user_id)


async def complete(codes: TaskCodes, events: Iterable[UserEvent]) -> list[UserEvent]:
    """Returns the events with their start codes, which are read by one query."""
    events = list(events)
    assigned = {_task(event) for event in events if needs_code(event)}
    if not assigned:
        return events
    start_codes = await codes.start_codes(list(assigned))
    return [
        _with_start_code(event, start_codes.get(_task(event))) if needs_code(event) else event
        for event in events
    ]


def _task(event: UserEvent) -> TaskId:
    return TaskId(UUID(event.data["task_id"]))


def _with_start_code(event: UserEvent, code: str | None) -> UserEvent:
    if code is None:
        return event
    return msgspec.structs.replace(event, data=event.data | {"start_code": code})
