"""Heartbeats from the text of a frame to Valkey: session, checked message, judged fix, presence.

The WebSocket's own framing and the database are left out: this is what one core must do anyway.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from engine.kernel.ids import UserId
from gateway.contract import client
from gateway.session.session import Phase, Session
from gateway.tracking.heartbeats import Heartbeats
from gateway.tracking.tracked_hustlers import TrackedHustler, fix_of
from geo.fixes import Track, check_fix
from geo.points import LatLng
from geo.presence.presence import Presence

EVERY_S: Final = 4.0  # virtual seconds between two heartbeats of a hustler


class WholePath:
    """Hustlers in LIVE mode, each with a session, whose positions come in as text."""

    def __init__(self, presence: Presence, people: Sequence[tuple[UUID, LatLng]]) -> None:
        self._heartbeats = Heartbeats(presence)
        self._now_s = time.time()
        now = time.monotonic()
        self._people = [
            (
                _open(hustler),
                TrackedHustler(UserId(hustler), None, _track(point), now, now, live=True),
            )
            for hustler, point in people
        ]
        self._frames = [_frame(point) for _, point in people]

    async def run(self) -> None:
        """Takes one frame of everybody, in batches of a window's size, and writes them."""
        self._now_s += EVERY_S
        for start in range(0, len(self._people), 1_000):
            part = slice(start, start + 1_000)
            for (session, tracked), raw in zip(self._people[part], self._frames[part], strict=True):
                message = session.receive(raw, self._now_s, _server_time)
                assert isinstance(message, client.UpdateLocation)
                fix = fix_of(message.data.location, self._now_s)
                result = check_fix(tracked.track, fix, self._now_s)
                assert result.track is not None
                tracked.accept_fix(result.track, time.monotonic(), 0.0)
                self._heartbeats.moved(tracked)
            await self._heartbeats.round()


def _server_time() -> datetime:
    return datetime.now(UTC)


def _open(hustler: UUID) -> Session:
    session = Session(hustler, 0.0)
    session.phase = Phase.OPEN
    return session


def _track(point: LatLng) -> Track:
    return Track(point, 0.0)


def _frame(point: LatLng) -> str:
    return (
        '{"type":"UPDATE_LOCATION","data":{"location":'
        f'{{"lat":{point.lat:.6f},"lng":{point.lng:.6f},"accuracy_m":8.0}}}}}}'
    )
