"""What nobody pushed: told by the change feed, and at a cost of what changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broadcast.limits import WaveLimits
from gateway.contract import close_codes, limits
from gateway.identity.auth import Caller
from gateway.settings.groups import Broadcast
from sql.database import Database
from tests.support.servers import RunServers, TestDatabase, clone_of
from tests.support.service import Service, User, joined, live, near, open_client, running, somewhere

APPEND = "select append_events(jsonb_build_array(hx_event($1, 'NUDGE', $2)))"
NUDGE = '{"kind": "CHOICE", "text": "Choose.", "task_id": null}'


class Asked:
    """What this process asks the database, by name and in order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def calls(self, number: int) -> None:
        """Waits until the feed has asked so many times from now on, and was answered."""
        wanted = self.names.count("changes_since") + number + 1
        async with asyncio.timeout(20.0):
            while self.names.count("changes_since") < wanted:  # noqa: ASYNC110 - a loop asks
                await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def hasty() -> Iterator[None]:
    """What is looked at each second is looked at ten times as often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "CATCHUP_EVERY_S", 0.1)
        yield


@pytest.fixture(scope="module")
async def service(
    hasty: None,
    run_servers: RunServers,
    worker_number: int,
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Service]:
    """A service alone in its database."""
    with clone_of(run_servers, f"gw{worker_number}_catchup") as database:
        folder: Path = tmp_path_factory.mktemp("catchup")
        async with running(database.dsn, database.owner_dsn, valkey_url, folder) as opened:
            yield opened


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Written down in passing."""
    asked = Asked()

    def passing(method: Callable[..., Any]) -> Callable[..., Any]:
        async def noted(self: Database, name: str, *args: Any, **more: Any) -> Any:
            asked.names.append(name)
            return await method(self, name, *args, **more)

        return noted

    for method in ("rows", "value", "call", "execute"):
        monkeypatch.setattr(Database, method, passing(getattr(Database, method)))
    return asked


async def test_where_nothing_changed_one_call_is_all(service: Service, asked: Asked) -> None:
    """However many are connected: nobody is compared, no snapshot, log or state is read."""
    users = [await service.user() for _ in range(40)]
    async with AsyncExitStack() as stack:
        for user in users:
            await stack.enter_async_context(joined(service, user))
        await asked.calls(3)  # who has just come is looked at once
        assert not service.parts.hub.registry.unchecked
        asked.names.clear()
        await asked.calls(2)
        others = {"claim_timers", "changes_since"}
        delivery = {"positions", "snapshots", "events_after_many", "hustler_states", "live_views"}
        assert others <= set(asked.names)
        assert not delivery & set(asked.names)
    page = (await service.http.get("/metrics")).text
    (line,) = [n for n in page.splitlines() if n.startswith("hustlexp_net_horizon_age_seconds ")]
    assert 0.0 < float(line.split()[1]) < 20.0


@pytest.mark.parametrize(
    ("shut", "code"),
    [
        ("account_status = 'SUSPENDED'", close_codes.NOT_ALLOWED),
        ("tokens_revoked_at = now()", close_codes.TOKEN_REVOKED),
    ],
)
async def test_an_account_that_was_shut_before_its_socket_joined_is_closed(
    service: Service,
    asked: Asked,
    monkeypatch: pytest.MonkeyPatch,
    shut: str,
    code: close_codes.CloseCode,
) -> None:
    """Its token was looked up just before, and the change was told before the socket was there."""
    user = await service.user()
    before = await service.parts.authenticator.user(user.token)

    async def looked_up_before(_: str) -> Caller:
        return before

    await service.owner.execute(f"update users set {shut} where id = $1", user.user_id)
    await asked.calls(2)
    monkeypatch.setattr(service.parts.authenticator, "user", looked_up_before)
    async with open_client(service) as client:
        await client.auth(user)
        assert await client.closed() == code.code


async def test_a_poll_hears_of_what_was_told_before_it_waited(
    service: Service, asked: Asked
) -> None:
    """Its caller looked into the log, the event came and was told, and only then it waits."""
    user = await service.user()
    await service.owner.fetchval(APPEND, user.user_id, NUDGE)
    await asked.calls(2)
    async with asyncio.timeout(5.0):
        assert await service.parts.hub.polls.wait_for(user.user_id, 0, 20.0) == "EVENT"


# ── Whatever is told ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def nobody_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broadcaster looks when it is woken, and else an hour later."""
    wave_limits = Broadcast.wave_limits

    def never(settings: Broadcast) -> WaveLimits:
        return replace(wave_limits(settings), tick_s=3_600.0, poll_s=3_600.0)

    monkeypatch.setattr(Broadcast, "wave_limits", never)


@pytest.fixture(params=["told", "lost"])
async def changing_service(
    request: pytest.FixtureRequest,
    hasty: None,
    fresh_database: TestDatabase,
    fresh_valkey_url: str,
    tmp_path: Path,
    nobody_polls: None,
) -> AsyncIterator[Service]:
    """A service that is told what changed; or at each call that anything may have."""
    dsns = (fresh_database.dsn, fresh_database.owner_dsn)
    async with running(*dsns, fresh_valkey_url, tmp_path) as service:
        if request.param == "lost":
            await service.owner.execute("update changes_emptied set xid = '1000000000'")
        yield service


async def by_another(service: Service, command: str, *args: object) -> None:
    """A command that another process commits."""
    arguments = ", ".join(f"${number}" for number in range(1, len(args) + 1))
    await service.owner.execute(f"select {command}({arguments})", *args)


async def offered(service: Service, poster: User, place: dict[str, float], *clients: Any) -> Any:
    """A broadcast task whose card stands on these screens: its id, and the broadcast's."""
    task = await service.funded(poster, place)
    for client in clients:
        card = await client.hear_until("LIVE_TASK_BROADCAST")
        assert card["data"]["task"]["id"] == task["id"]
    return task["id"], card["data"]["broadcast_id"]


async def test_what_another_process_commits_reaches_every_screen(changing_service: Service) -> None:
    """Events, a broadcast's end, a card its hustler may not accept now, and its return."""
    service = changing_service
    poster, place = await service.user("poster"), somewhere()
    hustler, other = await service.user(), await service.user()
    async with (
        live(service, hustler, near(place)) as client,
        live(service, other, near(place, 0.7)) as losing,
    ):
        presence = service.parts.location_tracker
        assert len(list(presence.live)) == 2
        cancelled, _ = await offered(service, poster, place, client, losing)
        await by_another(service, "cancel_task", poster.user_id, cancelled, None)
        for screen in (client, losing):
            await screen.hear_until("LIVE_TASK_UNAVAILABLE", task_id=cancelled, reason="CANCELLED")

        stays, broadcast = await offered(service, poster, place, client, losing)
        taken, _ = await offered(service, poster, place, client, losing)
        await by_another(service, "accept_task", hustler.user_id, taken, 1)
        await losing.hear_until("LIVE_TASK_UNAVAILABLE", task_id=taken, reason="CLAIMED")
        await client.find("LIVE_TASK_UNAVAILABLE", task_id=stays, reason="WITHDRAWN")
        await client.find("TASK_STATUS_UPDATE", task_id=taken, state="ACCEPTED")
        await by_another(service, "cancel_task", poster.user_id, taken, None)
        client.heard.clear()
        await client.find("LIVE_TASK_BROADCAST", broadcast_id=broadcast)

        # by hand, without an event
        await service.owner.execute(
            "update live_status set cooldown_until = hx_clock() + interval '1 hour'"
            " where user_id = $1",
            other.user_id,
        )
        await losing.hear_until("LIVE_TASK_UNAVAILABLE", task_id=stays, reason="WITHDRAWN")

        await by_another(service, "end_live", hustler.user_id, "OFFLINE")
        await client.hear_until("LIVE_MODE_STATE_CHANGE", state="OFF")
        await client.find("LIVE_TASK_UNAVAILABLE", task_id=stays, reason="WITHDRAWN")
        async with asyncio.timeout(5.0):
            while [tracked.user for tracked in presence.live] != [other.user_id]:  # noqa: ASYNC110 - a loop reads
                await asyncio.sleep(0.01)
        await service.owner.fetchval(APPEND, other.user_id, NUDGE)
        await losing.hear_until("NUDGE")
        await service.owner.execute(
            "update users set account_status = 'SUSPENDED' where id = $1", other.user_id
        )
        assert await losing.closed() == close_codes.NOT_ALLOWED.code
