"""Real sockets against the real service: opening, resuming, refusing, surviving."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from engine.kernel.applied import UserEvent
from engine.kernel.store import Store
from engine.tasks.codes import TaskCodes
from gateway.contract import close_codes, codec, limits
from gateway.contract.server import Nudge, Welcome
from gateway.session import rendering
from sql.database import DatabaseAway, Record
from tests.support.service import Service, User, joined, open_client, somewhere
from tests.support.trimming import trim

MIB = 1024 * 1024


async def append(service: Service, user: User, text: str) -> None:
    """An event committed by somebody else: nobody pushes it."""
    await service.owner.execute(
        "select append_events(jsonb_build_array(hx_event($1, 'NUDGE', $2::jsonb)))",
        user.user_id,
        json.dumps({"kind": "REST", "text": text}),
    )


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────


async def test_auth_is_answered_with_welcome(service: Service) -> None:
    """The contract's fields, and the id of the request."""
    user = await service.user()
    async with open_client(service) as client:
        await client.say("AUTH", {"token": user.token}, ref=41)
        welcome = await client.hear()
    assert (welcome["type"], welcome["id"]) == ("WELCOME", 41)
    received = msgspec.convert(welcome["data"], Welcome)
    assert (received.protocol, received.heartbeat_seconds, received.last_seq) == (1, 30, 0)
    assert received.user_id == user.user_id
    assert (received.live.state, received.offers, received.tasks) == ("OFF", [], [])


async def test_the_token_may_ride_the_handshake(service: Service) -> None:
    """AUTH then gives only last_seq, or nothing at all."""
    user = await service.user()
    headers = {"Authorization": f"Bearer {user.token}"}
    async with open_client(service, additional_headers=headers) as client:
        welcome = await client.ask("AUTH", {"last_seq": 0})
    assert welcome["data"]["user_id"] == str(user.user_id)


@pytest.mark.parametrize(
    ("token", "code"), [("nonsense", "HX502"), ("a.b.c", "HX502"), (None, "HX501")]
)
async def test_a_bad_token_is_refused_and_the_socket_closed(
    service: Service, token: str | None, code: str
) -> None:
    """ERROR says why, the close says: get a fresh one."""
    async with open_client(service) as client:
        error = await client.ask("AUTH", {"token": token} if token else {})
        assert error["data"]["code"] == code
        assert await client.closed() == close_codes.TOKEN_REFUSED.code


async def test_a_stale_token_is_refused(service: Service) -> None:
    """One that ended an hour ago is no better than none."""
    stale = service.token("somebody", "hustler", lifetime_s=-3600)
    async with open_client(service) as client:
        error = await client.ask("AUTH", {"token": stale})
        assert error["data"]["code"] == "HX502"
        assert await client.closed() == close_codes.TOKEN_REFUSED.code


async def test_a_session_ends_with_its_token_unless_a_fresh_auth_came(service: Service) -> None:
    """4103 within two seconds; AUTH on the open socket moves the end, and welcomes again."""
    ends = service.token("ends", "hustler", lifetime_s=1)
    first = service.token("goes-on", "hustler", lifetime_s=1)
    second = service.token("goes-on", "hustler", lifetime_s=600)
    async with open_client(service) as client, open_client(service) as refreshed:
        welcome = await refreshed.ask("AUTH", {"token": first})
        again = await refreshed.ask("AUTH", {"token": second})
        assert again["data"]["session_id"] == welcome["data"]["session_id"]
        await client.ask("AUTH", {"token": ends})
        assert await client.closed() == close_codes.TOKEN_EXPIRED.code
        assert (await refreshed.ask("PING"))["type"] == "PONG"


async def test_a_refresh_that_cannot_be_looked_up_leaves_the_session_as_it_was(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A retryable ERROR; a token that is refused, or another user's, ends it all the same."""
    user, other = await service.user(), await service.user()
    fresh = service.token("refreshes", "hustler")

    async def away(*_: object) -> None:
        raise DatabaseAway("no answer")

    async with open_client(service) as client, joined(service, user) as taken:
        await client.ask("AUTH", {"token": service.token("refreshes", "hustler", lifetime_s=60)})
        with monkeypatch.context() as patched:
            patched.setattr(service.parts.authenticator, "_user_for", away)
            error = await client.ask("AUTH", {"token": fresh})
            assert (error["data"]["code"], error["data"]["retryable"]) == ("UNAVAILABLE", True)
            assert (await client.ask("PING"))["type"] == "PONG"
        assert (await client.ask("AUTH", {"token": fresh}))["type"] == "WELCOME"
        error = await client.ask("AUTH", {"token": "x.y.z"})
        assert error["data"]["code"] == "HX502"
        assert await client.closed() == close_codes.TOKEN_REFUSED.code
        error = await taken.ask("AUTH", {"token": other.token})
        assert error["data"]["code"] == "HX503"
        assert await taken.closed() == close_codes.ANOTHER_USER.code


@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (None, True),
        ("https://app.example.com", True),
        ("https://evil.example.com", False),
        ("https://app.example.com.evil.example", False),
        ("https://app.example.com:8443", False),
        ("http://app.example.com", False),
        ("http://127.0.0.1:1", False),
        ("null", False),
    ],
)
async def test_only_known_origins_may_connect(
    service: Service, *, origin: str | None, welcome: bool
) -> None:
    """Refused with 403 before the upgrade; no Origin means no browser."""
    if welcome:
        async with open_client(service, origin=origin) as client:
            await client.auth(await service.user())
        return
    with pytest.raises(InvalidStatus) as refused:
        async with open_client(service, origin=origin):
            pass
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["code"] == "HX503"


async def test_the_sockets_of_a_process_are_bounded(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Authenticated ones too: one more is refused with 503 before the upgrade."""
    async with joined(service, await service.user()):
        monkeypatch.setattr(limits, "MAX_SOCKETS", 1)
        with pytest.raises(InvalidStatus) as refused:
            async with open_client(service):
                pass
    assert refused.value.response.status_code == 503


async def test_a_suspended_account_loses_its_sockets(service: Service) -> None:
    """4301 by the next look at the counters, without any event; others live on."""
    suspended, other = await service.user(), await service.user()
    async with joined(service, other) as living, joined(service, suspended) as client:
        await service.owner.execute(
            "update users set account_status = 'SUSPENDED' where id = $1", suspended.user_id
        )
        assert await client.closed(within_s=2.5) == close_codes.NOT_ALLOWED.code
        assert (await living.ask("PING"))["type"] == "PONG"


async def test_a_defect_while_joining_closes_the_socket(service: Service) -> None:
    """No session hangs half open for as long as its client says PING: 4201, come again later."""
    user = await service.user()
    await service.owner.execute(
        "select append_events(jsonb_build_array(hx_event($1, 'JOB_ASSIGNED', '{}')))", user.user_id
    )
    async with open_client(service) as client:
        error = await client.ask("AUTH", {"token": user.token, "last_seq": 0})
        assert error["data"]["code"] == "INTERNAL_ERROR"
        assert await client.closed() == close_codes.UNAVAILABLE.code


async def test_our_own_page_may_connect(service: Service) -> None:
    """The page at `/` comes from the same host and port."""
    async with open_client(service, origin=service.url) as client:
        await client.auth(await service.user())


async def test_a_users_sixth_and_seventh_socket_close_the_two_silent_for_longest(
    service: Service,
) -> None:
    """Told why, and to come back later; the others live on, however old they are."""
    user = await service.user()
    async with asyncio.TaskGroup() as group:
        clients = [await connect(service.ws_url, compression=None) for _ in range(7)]
        token = json.dumps({"type": "AUTH", "data": {"token": user.token}})
        for number, client in enumerate(clients):
            if number == 5:
                await (await clients[0].ping())  # the oldest is not the deadest
            await client.send(token)
            await client.recv()
        clients.append(clients.pop(0))
        for client in clients[:2]:
            await client.wait_closed()
            assert client.close_code == close_codes.TOO_MANY_SOCKETS.code
            assert client.close_reason == close_codes.TOO_MANY_SOCKETS.meaning
        for client in clients[2:]:
            await client.send('{"type":"PING"}')
            assert "PONG" in str(await client.recv())
            group.create_task(client.close())


async def test_a_socket_that_closes_while_it_joins_leaves_nothing_behind(
    service: Service,
) -> None:
    """Cut at any moment of AUTH: no ghost stays connected."""
    before = len(service.parts.hub.registry.connected())
    for number in range(12):
        token = service.token(f"cut-{number}", "hustler")  # unseen: its user must be looked up
        wire = await connect(service.ws_url, compression=None)
        await wire.send(json.dumps({"type": "AUTH", "data": {"token": token}}))
        await asyncio.sleep(0.0005 * number)
        wire.transport.abort()
    await asyncio.sleep(0.3)
    assert len(service.parts.hub.registry.connected()) <= before
    assert not service.parts.hub.registry._unauthenticated


# ── Resume and gaps ──────────────────────────────────────────────────────────────────────────────


async def test_resume_replays_exactly_the_missed_events(service: Service) -> None:
    """In order, before WELCOME, and nothing twice."""
    user = await service.user()
    async with joined(service, user):
        pass
    for text in "abcd":
        await append(service, user, text)
    async with open_client(service) as client:
        welcome = await client.auth(user, last_seq=2)
        assert welcome["last_seq"] == 4
        assert [(m.get("seq"), m["type"]) for m in client.heard] == [
            (3, "NUDGE"),
            (4, "NUDGE"),
            (None, "WELCOME"),
        ]
        await client.nothing_but()


async def test_a_long_absence_is_replayed_page_by_page(service: Service) -> None:
    """More than one read of the log."""
    user = await service.user()
    await service.owner.execute(
        'select append_events(jsonb_agg(hx_event($1, \'NUDGE\', \'{"kind":"x","text":"y"}\')))'
        " from generate_series(1, 450)",
        user.user_id,
    )
    async with open_client(service) as client:
        await client.auth(user, last_seq=0)
        assert [m["seq"] for m in client.heard if "seq" in m] == list(range(1, 451))


class Counted(Store):
    """Postgres, with a count of the questions."""

    asked = 0

    async def rows(self, name: str, *args: Any) -> list[Record]:
        """All rows of a query."""
        self.asked += 1
        return await super().rows(name, *args)


async def test_the_codes_of_a_whole_page_are_read_by_one_query(service: Service) -> None:
    """And each event gets the code of its own task."""
    poster, hustler = await service.user("poster"), await service.user()
    tasks = []
    for _ in range(3):
        task = await service.live_task(poster, {"lat": 1.0, "lng": 1.0}, mode="STANDARD")
        await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/fund", {})
        await service.rest(hustler, "POST", f"/v1/tasks/{task['id']}/accept", {})
        tasks.append(task["id"])
    parts = service.parts
    events = (await parts.queries.events.after(poster.user_id, 0)).events
    store = Counted(parts.queries.events._store._database)
    complete = await rendering.complete(TaskCodes(store, parts.queries.codes._book), events)
    assert store.asked == 1
    received = {
        e.data["task_id"]: e.data["start_code"] for e in complete if e.type == "JOB_ASSIGNED"
    }
    shown = [await service.rest(poster, "GET", f"/v1/tasks/{task}") for task in tasks]
    assert received == {task["id"]: task["start_code"] for task in shown}
    assert [(e.seq, e.type) for e in complete] == [(e.seq, e.type) for e in events]


async def test_a_cursor_beyond_the_log_is_told_to_resync(service: Service) -> None:
    """RESYNC AHEAD, then WELCOME."""
    user = await service.user()
    async with open_client(service) as client:
        await client.auth(user, last_seq=99)
        assert client.types() == ["RESYNC", "WELCOME"]
        assert client.heard[0]["data"] == {"reason": "AHEAD"}


async def test_a_cursor_older_than_the_log_is_told_to_resync(service: Service) -> None:
    """RESYNC TOO_OLD; the session goes on from WELCOME."""
    user = await service.user()
    for text in "ab":
        await append(service, user, text)
    await trim(service.owner, user.user_id, 1)
    async with open_client(service) as client:
        await client.auth(user, last_seq=0)
        assert client.types() == ["RESYNC", "WELCOME"]
        assert client.heard[0]["data"] == {"reason": "TOO_OLD"}
        await append(service, user, "c")
        assert (await client.hear_until("NUDGE"))["seq"] == 3
    async with open_client(service) as client:
        await client.auth(user, last_seq=1)
        assert client.types() == ["NUDGE", "NUDGE", "WELCOME"]


async def test_an_event_that_nobody_pushed_arrives_by_the_counters(service: Service) -> None:
    """Committed from psql: within a second or so."""
    user = await service.user()
    async with joined(service, user) as client:
        await append(service, user, "from psql")
        nudge = await client.hear_until("NUDGE", within_s=2.5)
        assert (nudge["seq"], nudge["data"]["text"]) == (1, "from psql")


async def test_a_hole_in_the_log_under_an_open_session_is_told(service: Service) -> None:
    """RESYNC TOO_OLD, and the session goes on from where the log stands."""
    user = await service.user()
    async with joined(service, user) as client:
        async with service.owner.transaction():
            for text in "ab":
                await append(service, user, text)
            await trim(service.owner, user.user_id, 1)
        assert (await client.hear())["type"] == "RESYNC"
        await append(service, user, "c")
        assert (await client.hear_until("NUDGE"))["seq"] == 3


async def test_a_gap_is_noticed_by_the_push_that_follows_it(service: Service) -> None:
    """The log is asked for at once, not when the counters are compared."""
    user = await service.user()
    async with joined(service, user):
        event = UserEvent(user.user_id, 2, "NUDGE", {"kind": "x", "text": "y"}, datetime.now(UTC))
        service.parts.hub.push(event)
        assert user.user_id in service.parts.hub.behind
        assert service.parts.hub.work.is_set()


async def test_a_gap_is_filled_from_the_log_at_once(service: Service) -> None:
    """A lost push is noticed by the next one, long before the counters are compared."""
    poster = await service.user("poster")
    async with joined(service, poster) as client:
        task = await service.live_task(poster, {"lat": 1.0, "lng": 1.0})
        await append(service, poster, "lost")
        await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/cancel", {})
        heard = [await client.hear() for _ in range(3)]
        assert [(m["seq"], m["type"]) for m in heard] == [
            (1, "NUDGE"),
            (2, "TASK_STATUS_UPDATE"),
            (3, "JOB_CANCELLED"),
        ]


# ── Broken and hostile clients ───────────────────────────────────────────────────────────────────

HOSTILE = {
    "not JSON": "hello",
    "unknown type": '{"type":"ASSIGN_TASK","id":"r"}',
    "unknown field": '{"type":"PING","id":"r","x":1}',
    "NaN": '{"type":"UPDATE_LOCATION","id":"r","data":{"location":{"lat":NaN,"lng":1}}}',
    "infinite": '{"type":"UPDATE_LOCATION","id":"r","data":{"location":{"lat":1e400,"lng":1}}}',
    "out of range": '{"type":"UPDATE_LOCATION","id":"r","data":{"location":{"lat":91,"lng":1}}}',
    "30 digits": '{"type":"ACK","id":"r","data":{"seq":' + "9" * 30 + "}}",
    "deep nesting": '{"type":"PING","data":' + "[" * 5000 + "]" * 5000 + "}",
}


@pytest.mark.parametrize("frame", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_malformed_message_is_an_error_and_the_session_goes_on(
    service: Service, frame: str
) -> None:
    """VALIDATION_ERROR, then business as usual."""
    async with joined(service, await service.user()) as client:
        await client.raw(frame)
        error = await client.hear()
        assert (error["type"], error["data"]["code"]) == ("ERROR", "VALIDATION_ERROR")
        assert (await client.ask("PING"))["type"] == "PONG"


async def test_a_binary_frame_is_an_error_and_the_session_goes_on(service: Service) -> None:
    """The protocol is text."""
    async with joined(service, await service.user()) as client:
        await client.raw(b'{"type":"PING"}')
        assert (await client.hear())["data"]["code"] == "VALIDATION_ERROR"
        assert (await client.ask("PING"))["type"] == "PONG"


async def test_a_message_over_our_limit_is_an_error_and_the_session_goes_on(
    service: Service,
) -> None:
    """20 KiB still fits a frame."""
    async with joined(service, await service.user()) as client:
        await client.raw('{"type":"PING","id":"' + "x" * 20_000 + '"}')
        assert (await client.hear())["data"]["code"] == "TOO_LARGE"
        assert (await client.ask("PING"))["type"] == "PONG"


@pytest.mark.parametrize("fragmented", [False, True])
async def test_a_mebibyte_closes_the_socket_with_1009(
    service: Service, caplog: pytest.LogCaptureFixture, *, fragmented: bool
) -> None:
    """The reason arrives although the client is still sending; others notice nothing."""
    async with joined(service, await service.user()) as other:
        async with joined(service, await service.user()) as client:
            text = "x" * MIB
            pieces = [text[at : at + 4096] for at in range(0, MIB, 4096)]
            try:
                await client.wire.send(pieces if fragmented else text)
            finally:
                assert await client.closed() == close_codes.FRAME_TOO_LARGE.code
        assert (await other.ask("PING"))["type"] == "PONG"
    assert not [r for r in caplog.records if r.name in ("asyncio", "uvicorn.error")]


async def test_text_that_is_not_utf8_closes_the_socket_with_1007(service: Service) -> None:
    """RFC 6455 §8.1."""
    async with joined(service, await service.user()) as client:
        await client.wire.send(b"\xff\xfe", text=True)
        assert await client.closed() == close_codes.NOT_UTF8.code


async def test_a_flood_is_braked_and_then_closed(service: Service) -> None:
    """RATE_LIMITED while it lasts, 4200 when it does not stop; others are served."""
    async with joined(service, await service.user()) as other:
        async with joined(service, await service.user()) as client:
            try:
                for _ in range(400):
                    await client.raw('{"type":"PING"}')
            finally:
                assert await client.closed() == close_codes.FLOOD.code
            codes = {m["data"]["code"] for m in client.heard if m["type"] == "ERROR"}
            assert codes == {"RATE_LIMITED"}
        assert (await other.ask("PING"))["type"] == "PONG"


async def test_requests_pile_up_to_a_limit(service: Service) -> None:
    """What waits for the database is bounded for each socket; every request is answered."""
    async with joined(service, await service.user()) as client:
        unknown = {"task_id": "00000000-0000-4000-8000-000000000000"}
        for number in range(limits.MAX_WAITING_REQUESTS + 10):
            await client.say("SUBSCRIBE_TASK", unknown, ref=number)
        answers = [await client.hear() for _ in range(limits.MAX_WAITING_REQUESTS + 10)]
        assert {a["id"] for a in answers} == set(range(limits.MAX_WAITING_REQUESTS + 10))
        assert {a["data"]["code"] for a in answers} == {"NOT_FOUND", "RATE_LIMITED"}


async def test_a_slow_reader_is_cut_and_blocks_nobody(service: Service) -> None:
    """More than a mebibyte unread: the socket goes, everybody else is answered at once."""
    slow, quick = await service.user(), await service.user()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    host, port = service.url.removeprefix("http://").split(":")
    sock.connect((host, int(port)))
    sock.setblocking(False)
    payload = codec.encode("NUDGE", Nudge("REST", "x" * 60_000))
    options = {"sock": sock, "max_queue": 1, "ping_interval": None, "close_timeout": 0.1}
    async with joined(service, quick) as other, open_client(service, **options) as client:
        await client.auth(slow)
        (connection,) = service.parts.hub.registry.sockets(slow.user_id)
        for _ in range(120):
            service.parts.hub.registry.send(slow.user_id, payload)
            await asyncio.sleep(0)
        assert connection.cut_for == "slow"
        assert (await other.ask("PING"))["type"] == "PONG"
    await asyncio.sleep(0.05)
    assert not service.parts.hub.registry.sockets(slow.user_id)


# ── Tasks and other requests ─────────────────────────────────────────────────────────────────────


async def test_a_task_can_be_watched_by_who_may_see_it(service: Service) -> None:
    """An onlooker of a STANDARD task hears of its steps, without seq; strangers get NOT_FOUND."""
    poster, watcher = await service.user("poster"), await service.user()
    task = await service.live_task(poster, {"lat": 2.0, "lng": 2.0}, mode="STANDARD")
    async with joined(service, watcher) as client:
        unpaid = await client.ask("SUBSCRIBE_TASK", {"task_id": task["id"]})
        assert unpaid["data"]["code"] == "NOT_FOUND"
        await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/fund", {})
        status = await client.ask("SUBSCRIBE_TASK", {"task_id": task["id"]})
        assert (status["type"], status["data"]["state"]) == ("TASK_STATUS_UPDATE", "OPEN")
        await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/cancel", {})
        update = await client.hear_until("TASK_STATUS_UPDATE", task_id=task["id"])
        assert update["data"]["state"] == "CANCELLED"
        assert "seq" not in update
        gone = await client.ask("UNSUBSCRIBE_TASK", {"task_id": task["id"]})
        assert gone["data"]["code"] == "NOT_FOUND"


async def test_a_watch_ends_with_the_step_that_takes_the_task_out_of_sight(
    service: Service,
) -> None:
    """Who accepted it hears on, and an admin too; the others hear that it is gone, and no more."""
    poster, hustler, stranger = [await service.user(r) for r in ("poster", "hustler", "hustler")]
    admin = await service.user("admin")
    task = await service.live_task(poster, {"lat": 2.0, "lng": 2.0}, mode="STANDARD")
    path = f"/v1/tasks/{task['id']}"
    await service.rest(poster, "POST", f"{path}/fund", {})
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(joined(service, user))
            for user in (hustler, stranger, admin)
        ]
        for socket in sockets:
            await socket.ask("SUBSCRIBE_TASK", {"task_id": task["id"]})
        await service.rest(hustler, "POST", f"{path}/accept", {})
        code = (await service.rest(poster, "GET", path))["start_code"]
        await service.rest(hustler, "POST", f"{path}/start", {"code": code})
        await service.rest(poster, "POST", f"{path}/dispute", {"reason": "It fell."})
        working, looking, deciding = sockets
        for socket in (working, deciding):
            await socket.hear_until("TASK_STATUS_UPDATE", state="DISPUTED")
        # what the onlooker is told, it is told before the answer to this
        assert (await looking.ask("PING"))["type"] == "PONG"
        await looking.nothing_but()
        assert [m["data"]["state"] for m in looking.heard if m["type"] == "TASK_STATUS_UPDATE"] == [
            "OPEN",
            "ACCEPTED",
        ]
        assert not service.parts.hub.watches.unsure


async def test_requests_of_one_socket_are_answered_in_turn(service: Service) -> None:
    """PING overtakes what waits for the database; the rest keeps its order."""
    async with joined(service, await service.user()) as client:
        unknown = {"task_id": "00000000-0000-4000-8000-000000000000"}
        for ref in ("a", "b"):
            await client.say("SUBSCRIBE_TASK", unknown, ref=ref)
        await client.say("PING", ref="p")
        heard = [(await client.hear())["id"] for _ in range(3)]
        assert heard.index("a") < heard.index("b")
        assert heard[0] == "p"


async def test_what_is_sent_right_behind_auth_waits_for_it(service: Service) -> None:
    """No round trip is needed: WELCOME, then the answers, in turn; a bad token ends it all."""
    hustler, place = await service.user(), somewhere()
    async with open_client(service) as client:
        await client.say("AUTH", {"token": hustler.token})
        await client.say("SUBSCRIBE_LIVE_MODE", {"location": place})
        await client.hear_until("WELCOME")
        await client.hear_until("LIVE_MODE_STATE_CHANGE", state="ACTIVE")
    async with open_client(service) as client:
        await client.say("AUTH", {"token": "a.b.c"})
        await client.say("SUBSCRIBE_LIVE_MODE", {"location": place})
        assert (await client.hear_until("ERROR"))["data"]["code"] == "HX502"
