"""What a session begins with."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from engine.live.views import LiveView, OfferCard
from engine.tasks.views import TaskView


class Snapshot(Struct, frozen=True):
    """What WELCOME and GET /v1/snapshot carry about the user."""

    user_id: UUID
    server_time: datetime
    last_seq: int
    live: LiveView
    offers: list[OfferCard]
    tasks: list[TaskView]
