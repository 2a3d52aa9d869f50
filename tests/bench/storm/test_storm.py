"""The phones of the storm read their log as clients do, and their record tells when something lacks."""

from __future__ import annotations

import json
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from bench.storm.crowd import Asked, Crowd, Record
from bench.storm.phone import Phone
from tests.support.service import Service

APPEND = """
select append_events((select jsonb_agg(hx_event($1, 'NUDGE', $2)) from generate_series(1, 3)))
"""
NUDGE = json.dumps({"kind": "CHOICE", "text": "Choose.", "task_id": None})


async def test_a_crowd_is_cut_resumes_and_goes_live(service: Service) -> None:
    """Half of it missed events, as in the real one; none is refused."""
    url = urlsplit(service.url)
    subjects = [uuid4().hex for _ in range(12)]
    tokens = [service.token(subject, "hustler") for subject in subjects]
    crowd = Crowd(Asked(url.hostname or "", url.port or 0, 1, tokens))
    assert (await crowd.open()).refused == 0
    await crowd.cut()
    users: list[UUID] = [
        row["id"]
        for row in await service.owner.fetch(
            "select id from users where subject = any($1)", subjects
        )
    ]
    for user in users[::2]:
        await service.owner.fetchval(APPEND, user, NUDGE)
    assert (await crowd.open()).refused == 0
    assert await crowd.record() == Record(events=18, gaps=0)
    assert (await crowd.live()).refused == 0
    await crowd.cut()


def test_a_phone_counts_what_it_was_not_told() -> None:
    """A hole, a repeat, a RESYNC, and a WELCOME that claims more than was read."""
    phone = Phone(1, "token")
    phone.connection_made(_Nowhere())  # type: ignore[arg-type]
    phone.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    for message, events, gaps in (
        ({"type": "WELCOME", "data": {"last_seq": 4}}, 0, 0),
        ({"type": "NUDGE", "seq": 5, "data": {"text": "x" * 300}}, 1, 0),
        ({"type": "NUDGE", "seq": 7}, 1, 1),
        ({"type": "NUDGE", "seq": 7}, 1, 2),
        ({"type": "WELCOME", "data": {"last_seq": 8}}, 1, 3),
        ({"type": "RESYNC"}, 1, 4),
    ):
        payload = json.dumps(message).encode()
        size = len(payload)
        head = bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2)
        phone.data_received((head + payload)[:3])
        phone.data_received((head + payload)[3:])
        assert (phone.events, phone.gaps) == (events, gaps), message


class _Nowhere:
    """A transport that drops what it is given."""

    def write(self, data: bytes) -> None:
        """Drops it."""

    def abort(self) -> None:
        """Does nothing."""
