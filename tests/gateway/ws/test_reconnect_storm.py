"""Everybody who comes at once is served by few queries, and each gets what is theirs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from engine.kernel.errors import Refusal
from gateway.contract import close_codes
from gateway.delivery.missed_events import MissedEvents
from gateway.delivery.snapshots import Snapshots
from gateway.identity.auth import Caller
from sql.database import Database
from tests.support.service import Client, Service, User, joined, live, near, open_client, somewhere

APPEND = """
select append_events((
    select jsonb_agg(hx_event($1, 'NUDGE', $2)) from generate_series(1, $3)
))
"""
NUDGE = json.dumps({"kind": "CHOICE", "text": "Choose.", "task_id": None})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the service asks the database, by name, written down in passing."""
    names: list[str] = []

    def passing(method: Callable[..., Any]) -> Callable[..., Any]:
        async def noted(self: Database, name: str, *args: Any, **more: Any) -> Any:
            names.append(name)
            return await method(self, name, *args, **more)

        return noted

    for method in ("rows", "call", "execute"):
        monkeypatch.setattr(Database, method, passing(getattr(Database, method)))
    return names


async def test_tokens_of_one_window_share_a_query(service: Service, asked: list[str]) -> None:
    """New subjects, one of them by two tokens at once, a shut account and bad tokens among many."""
    shut = await service.user()
    await service.owner.execute(
        "update users set account_status = 'SUSPENDED' where id = $1", shut.user_id
    )
    service.parts.authenticator.forget([shut.user_id])
    twice = uuid4().hex
    tokens = [service.token(uuid4().hex, "hustler") for _ in range(20)]
    tokens[4] = "nonsense"
    tokens[7], tokens[11] = (service.token(twice, "dual", lifetime_s=s) for s in (600, 900))
    tokens[13] = shut.token
    asked.clear()

    found = await asyncio.gather(
        *(service.parts.authenticator.user(token) for token in tokens), return_exceptions=True
    )

    refused = {n: one for n, one in enumerate(found) if isinstance(one, Refusal)}
    assert {n: one.kind.code for n, one in refused.items()} == {4: "HX502", 13: "HX503"}
    callers = {n: one for n, one in enumerate(found) if isinstance(one, Caller)}
    assert callers.keys() | refused.keys() == set(range(20))
    assert callers[7].user_id == callers[11].user_id
    assert len({caller.user_id for caller in callers.values()}) == 17
    subjects = await service.owner.fetchval("select count(*) from users where subject = $1", twice)
    assert (subjects, asked.count("users_for")) == (1, 1)


async def test_sessions_of_one_window_share_a_query_each(
    service: Service, asked: list[str]
) -> None:
    """Snapshots, and what each missed since where it stands: nobody gets another's."""
    users = [(await service.user()).user_id for _ in range(20)]
    for count, user in enumerate(users):
        if count:
            await service.owner.fetchval(APPEND, user, NUDGE, count)
    asked.clear()

    snapshots = Snapshots(service.parts.queries.events)
    found = await asyncio.gather(*(snapshots.read(user) for user in users))
    assert [(one.user_id, one.last_seq) for one in found] == [(u, n) for n, u in enumerate(users)]

    missed = MissedEvents(service.parts.queries)
    cursors = [(user, count // 2) for count, user in enumerate(users)] + [(users[9], 7)]
    pages = await asyncio.gather(*(missed.after(user, seq) for user, seq in cursors))
    for (user, seq), page in zip(cursors, pages, strict=True):
        last = users.index(user)
        assert [(e.user_id, e.seq) for e in page] == [(user, n) for n in range(seq + 1, last + 1)]
    assert (asked.count("snapshots"), asked.count("events_after_many")) == (1, 1)


async def test_everybody_resumes_at_once_and_misses_nothing(service: Service) -> None:
    """More than a page of events for some, none for others."""
    users = [await service.user() for _ in range(12)]
    missed = [(0, 3, 250)[n % 3] for n in range(12)]
    async with AsyncExitStack() as stack:
        for user in users:
            await stack.enter_async_context(joined(service, user))
    for user, count in zip(users, missed, strict=True):
        if count:
            await service.owner.fetchval(APPEND, user.user_id, NUDGE, count)

    async def resumed(client: Client, user: User, count: int) -> None:
        welcome = await client.auth(user, last_seq=0)
        assert welcome["last_seq"] == count
        assert [m["seq"] for m in client.heard if m["type"] == "NUDGE"] == [*range(1, count + 1)]

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_client(service)) for _ in users]
        await asyncio.gather(*map(resumed, clients, users, missed))


async def test_a_database_that_goes_away_in_a_window_is_told_to_all_of_it(
    service: Service, owner_dsn: str
) -> None:
    """ERROR and a close that says: come back. They do, and are welcomed."""
    users = [await service.user() for _ in range(5)]
    other = await asyncpg.connect(owner_dsn)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(open_client(service)) for _ in users]
        async with other.transaction():
            await other.execute("lock table user_counters in access exclusive mode")
            answers = [
                asyncio.create_task(client.ask("AUTH", {"token": user.token}))
                for client, user in zip(clients, users, strict=True)
            ]
            async with asyncio.timeout(5.0):
                while not all(  # noqa: ASYNC110 - another process is looked at
                    service.parts.hub.registry.sockets(user.user_id) for user in users
                ) or not await other.fetchval(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                    " where datname = current_database() and wait_event_type = 'Lock'"
                ):
                    await asyncio.sleep(0.01)
            errors = await asyncio.gather(*answers)
        assert {(m["type"], m["data"]["code"]) for m in errors} == {("ERROR", "UNAVAILABLE")}
        for client in clients:
            assert await client.closed() == close_codes.UNAVAILABLE.code
    await other.close()
    for user in users:
        async with joined(service, user):
            pass


async def test_offers_of_a_broadcast_share_their_card(service: Service, asked: list[str]) -> None:
    """Each hustler reads the own distance and score on it, best first, as GET /v1/offers has them."""
    place = somewhere()
    hustlers = [await service.user() for _ in range(3)]
    async with AsyncExitStack() as stack:
        phones = [
            await stack.enter_async_context(live(service, hustler, near(place, 0.4 * n)))
            for n, hustler in enumerate(hustlers)
        ]
        for _ in range(2):
            await service.funded(await service.user("poster"), place)
        for phone in phones:
            for _ in range(2):
                await phone.hear_until("LIVE_TASK_BROADCAST")
        asked.clear()
        found = await service.parts.queries.events.snapshots([h.user_id for h in hustlers])
        assert asked == ["snapshots"] or asked.count("snapshots") == 1
        distances = set()
        for hustler in hustlers:
            offers = found[hustler.user_id].offers
            assert offers == await service.parts.queries.live.offers(hustler.user_id)
            assert len(offers) == 2
            distances |= {offer.task.distance_miles for offer in offers}
        assert len(distances) >= 2  # of those on both sides of the shown place two may be alike


async def test_all_go_live_at_once_and_each_has_the_own_outcome(
    service: Service, asked: list[str]
) -> None:
    """One is banned, one switched off a moment ago, the row of one is somebody else's for a while."""
    place = somewhere()
    users = [await service.user() for _ in range(24)]
    banned, hasty, held = users[3], users[8], users[15]
    await service.owner.execute(
        "update live_status set banned_until = hx_clock() + interval '1 hour' where user_id = $1",
        banned.user_id,
    )
    async with AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(joined(service, user)) for user in users]
        await phones[8].ask("SUBSCRIBE_LIVE_MODE", {"location": place})
        await phones[8].ask("UNSUBSCRIBE_LIVE_MODE")
        asked.clear()
        async with service.owner.transaction():
            await service.owner.execute(
                "select from live_status where user_id = $1 for update", held.user_id
            )
            answers = [
                asyncio.create_task(phone.ask("SUBSCRIBE_LIVE_MODE", {"location": place}))
                for phone in phones
            ]
            await asyncio.wait(
                [one for n, one in enumerate(answers) if users[n] is not held], timeout=5.0
            )
        answered = dict(zip(users, await asyncio.gather(*answers), strict=True))

    codes = {banned: "HX905", hasty: "HX904"}
    for user, answer in answered.items():
        if user in codes:
            assert (answer["type"], answer["data"]["code"]) == ("ERROR", codes[user])
        else:
            assert (answer["type"], answer["data"]["state"]) == ("LIVE_MODE_STATE_CHANGE", "ACTIVE")
    # the banned one, the hasty one and the one whose row was held are asked for alone
    assert asked.count("go_live") + asked.count("go_live_together") < len(users) / 2
