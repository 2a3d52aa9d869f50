"""Whose position is believed, where it goes, and what follows from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from engine.events.changes import Changes
from engine.kernel.ids import TaskId, UserId
from engine.tasks.queries import Engagement, TaskQueries
from gateway.contract.client import GoLive, Location
from gateway.tracking.changes import HustlerChanges
from gateway.tracking.en_route import EnRoute
from gateway.tracking.heartbeats import Heartbeats
from gateway.tracking.location_tracker import LocationTracker
from gateway.tracking.tracked_hustlers import TrackedHustler
from geo import cells
from geo.fixes import Track
from geo.points import LatLng
from geo.presence.presence import Heartbeat, Presence
from geo.units import METRES_PER_MILE
from geo.valkey import Pipeline, Valkey, open_valkey
from tests.gateway.tracking.absences import absences_of
from tests.support.service import (
    Client,
    Message,
    Service,
    User,
    joined,
    live,
    near,
    open_client,
    running,
    somewhere,
    uuid_of,
)


@pytest.fixture
async def valkey(valkey_url: str) -> AsyncIterator[Valkey]:
    """The service's Valkey, by another client."""
    opened = open_valkey(valkey_url)
    yield opened
    await opened.close()


@pytest.fixture
def presence(valkey: Valkey) -> Presence:
    """The service's presence."""
    return Presence(valkey)


async def found(presence: Presence, user: User, place: dict[str, float]) -> LatLng | None:
    """Where presence has a hustler, within three miles of a place."""
    where = LatLng(place["lat"], place["lng"])
    seen = await presence.within(cells.cover(where, 3 * METRES_PER_MILE))
    for ident, lat, lng in zip(seen.hustlers(), seen.lat, seen.lng, strict=True):
        if ident == user.user_id:
            return LatLng(float(lat), float(lng))
    return None


async def eventually(
    presence: Presence, user: User, at: dict[str, float] | None, near_to: dict[str, float]
) -> None:
    """Waits until presence has the hustler there (None: nowhere)."""
    async with asyncio.timeout(3.0):
        while True:
            place = await found(presence, user, near_to)
            if (place is None) == (at is None) and (
                place is None or at is None or abs(place.lat - at["lat"]) < 1e-9
            ):
                return
            await asyncio.sleep(0.02)


async def test_a_live_hustler_is_present_and_leaves_at_once(
    service: Service, presence: Presence
) -> None:
    """SUBSCRIBE writes presence, UPDATE moves it, UNSUBSCRIBE removes it."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place) as client:
        await eventually(presence, hustler, place, place)
        await client.say("UPDATE_LOCATION", {"location": near(place, 0.01)})
        await eventually(presence, hustler, near(place, 0.01), place)
        await client.ask("UNSUBSCRIBE_LIVE_MODE")
        await eventually(presence, hustler, None, place)


async def test_leaving_at_once_leaves_nothing_behind(service: Service, presence: Presence) -> None:
    """The first heartbeat is still on its way when LIVE mode ends."""
    place = somewhere()
    hustlers = [await service.user() for _ in range(10)]

    async def come_and_go(hustler: User) -> None:
        async with live(service, hustler, place) as client:
            await asyncio.sleep(0.001 * (hustlers.index(hustler)))
            await client.ask("UNSUBSCRIBE_LIVE_MODE")

    await asyncio.gather(*map(come_and_go, hustlers))
    await asyncio.sleep(0.1)
    assert [await found(presence, hustler, place) for hustler in hustlers] == [None] * 10


async def test_rest_ends_live_mode_too(service: Service, presence: Presence) -> None:
    """Whoever ends it or begins it: presence follows, and the hustler's sockets hear of it."""
    hustler, place = await service.user(), somewhere()
    async with joined(service, hustler) as client:
        await service.rest(hustler, "POST", "/v1/live", {"location": place})
        await client.hear_until("LIVE_MODE_STATE_CHANGE", state="ACTIVE")
        await eventually(presence, hustler, place, place)
        await service.rest(hustler, "DELETE", "/v1/live")
        await client.hear_until("LIVE_MODE_STATE_CHANGE", state="OFF")
        await eventually(presence, hustler, None, place)


async def test_whoever_else_ends_live_mode_empties_the_place(
    service: Service, presence: Presence
) -> None:
    """Ended by another process: heard of by the log, and out of presence."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place) as client:
        await eventually(presence, hustler, place, place)
        await service.owner.execute("select end_live($1, 'OFFLINE')", hustler.user_id)
        await client.hear_until("LIVE_MODE_STATE_CHANGE", state="OFF")
        await eventually(presence, hustler, None, place)


async def test_a_socket_that_closes_leaves_its_hustler_present(
    service: Service, presence: Presence
) -> None:
    """A tunnel is no end of work: presence expires 90 s after the last heartbeat."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place):
        await eventually(presence, hustler, place, place)
    await asyncio.sleep(0.1)
    assert await found(presence, hustler, place) is not None


async def test_the_latest_socket_to_go_live_is_the_source(
    service: Service, presence: Presence
) -> None:
    """The other phone's positions are ignored, and it is told so once, also after a fresh token."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place) as first, live(service, hustler, place) as second:
        error = await first.ask("UPDATE_LOCATION", {"location": near(place, 0.02)})
        assert (error["data"]["code"], error["data"]["reason"]) == ("HX021", "another_source")
        await first.auth(hustler)
        await first.say("UPDATE_LOCATION", {"location": near(place, 0.02)})
        assert (await first.ask("PING"))["type"] == "PONG"
        assert first.types().count("ERROR") == 1
        headers = {"Authorization": f"Bearer {hustler.token}"}
        beside = {"location": near(place, 0.02)}
        answer = await service.http.put("/v1/live/location", json=beside, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (422, "another_source")
        seen = await found(presence, hustler, place)
        assert seen is not None
        assert seen.lat == place["lat"]
        await second.say("UPDATE_LOCATION", {"location": near(place, 0.01)})
        await eventually(presence, hustler, near(place, 0.01), place)


async def test_a_new_socket_carries_on_where_a_closed_one_was_the_source(
    service: Service, presence: Presence
) -> None:
    """After a reconnect an UPDATE_LOCATION suffices: LIVE mode is still on."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place):
        pass
    async with open_client(service) as client:
        welcome = await client.auth(hustler)
        assert welcome["live"]["state"] == "ACTIVE"
        await client.say("UPDATE_LOCATION", {"location": near(place, 0.01)})
        await eventually(presence, hustler, near(place, 0.01), place)


async def test_a_fresh_token_makes_no_socket_the_source(service: Service) -> None:
    """The tablet that refreshes while the phone is away for a moment stays a tablet."""
    hustler, place = await service.user(), somewhere()
    async with joined(service, hustler) as tablet:
        async with live(service, hustler, place):
            pass
        await asyncio.sleep(0.05)
        (tracked,) = [t for t in service.parts.location_tracker.live if t.user == hustler.user_id]
        assert tracked.source is None
        await tablet.auth(hustler)
        await tablet.ask("PING")
        assert tracked.source is None


async def test_a_socket_that_only_says_auth_keeps_its_hustler_present(service: Service) -> None:
    """Its frames are signs of life for the source that is gone, without another position."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place):
        pass
    async with joined(service, hustler) as client:
        (tracked,) = [t for t in service.parts.location_tracker.live if t.user == hustler.user_id]
        tracked.heard_at -= 60.0
        heard_before = tracked.heard_at
        assert (await client.ask("PING"))["type"] == "PONG"
        assert tracked.heard_at > heard_before


async def test_another_process_takes_a_hustler_over_where_presence_has_them(
    database_dsn: str, owner_dsn: str, valkey_url: str, tmp_path: Path, presence: Presence
) -> None:
    """After kill -9 and a reconnect with AUTH alone, offers still find the hustler there."""
    place = somewhere()
    async with running(database_dsn, owner_dsn, valkey_url, tmp_path) as first:
        hustler = await first.user()
        async with live(first, hustler, place):
            await eventually(presence, hustler, place, place)
    async with (
        running(database_dsn, owner_dsn, valkey_url, tmp_path) as second,
        joined(second, hustler),
    ):
        async with asyncio.timeout(3.0):
            while second.parts.location_tracker.last_point(hustler.user_id) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert second.parts.location_tracker.last_point(hustler.user_id) == LatLng(
            place["lat"], place["lng"]
        )
        assert [t.user for t in second.parts.location_tracker.live] == [hustler.user_id]


def positions_of(
    service: Service, presence: Presence, changes: HustlerChanges | None = None
) -> LocationTracker:
    """Positions whose rounds the test makes itself."""
    parts = service.parts
    return LocationTracker(
        parts.hub,
        changes or HustlerChanges(),
        parts.commands,
        parts.queries,
        heartbeats=Heartbeats(presence),
    )


@pytest.mark.parametrize("ended", ["elsewhere", "here", "while presence is asked"])
async def test_a_hustler_whose_live_mode_has_ended_is_not_taken_over(
    service: Service, presence: Presence, ended: str
) -> None:
    """OFF between WELCOME and the round that takes over: nobody would ever remove the ghost."""
    hustler, place = await service.user(), somewhere()
    user = hustler.user_id
    await presence.write([Heartbeat(user, LatLng(place["lat"], place["lng"]), 1, 1)])
    parts = service.parts
    changes = HustlerChanges()
    positions = positions_of(service, presence, changes)
    async with joined(service, hustler):
        (connection,) = parts.hub.registry.sockets(user)
        positions.returned(user, connection)
        if ended == "elsewhere":
            changes.add([user])
            await positions.round()
        elif ended == "here":
            positions._leave(user)
            await positions.round()
        else:
            taking_over = asyncio.create_task(positions._take_over())
            await asyncio.sleep(0)
            positions._leave(user)
            await taking_over
        assert positions.last_point(user) is None
        assert not positions._returned


async def test_a_change_that_comes_while_another_is_read_is_read_too(
    service: Service, presence: Presence
) -> None:
    """The answer on its way may be older than the change; what could not be read stays due."""
    user = (await service.user()).user_id
    changes = HustlerChanges()
    positions = positions_of(service, presence, changes)
    changes.add([user])
    reading = asyncio.create_task(positions._read_changed())
    await asyncio.sleep(0)
    changes.add([user])
    await reading
    assert changes.users == {user}
    reading = asyncio.create_task(positions._read_changed())
    await asyncio.sleep(0)
    assert not changes.users
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert changes.users == {user}


async def test_one_who_cannot_be_let_go_keeps_nobody_else(
    service: Service, presence: Presence
) -> None:
    """A hustler whose last fix cannot be kept is tried again; the other has left meanwhile."""
    place = somewhere()
    stuck, other = [(await service.user()).user_id for _ in range(2)]
    positions = positions_of(service, presence)
    for user in (stuck, other):
        await positions.go_live(user, GoLive(Location(**place)))
        await service.owner.execute("select end_live($1, 'OFFLINE')", user)
    # no radius of anything: the row is refused
    positions._tracked[stuck].track = Track(LatLng(1.0, 0.0), time.time(), -1.0)
    changes = Changes(now=datetime.now(UTC), hustlers=(stuck, other, UserId(uuid4())))
    positions.changed(changes)
    assert positions._changes.users == {stuck, other}
    await positions._read_changed()
    assert positions._tracked.keys() == {stuck}
    positions._tracked[stuck].track = Track(LatLng(1.0, 0.0), time.time())
    async with asyncio.timeout(5.0):
        while positions._tracked:
            await positions.round()


class Late(TaskQueries):
    """Answers about trips that wait on their way for the test."""

    def __init__(self, queries: TaskQueries) -> None:
        super().__init__(queries._store, queries._codes)
        self.read = asyncio.Event()
        self.arrives: asyncio.Event | None = None

    async def engagements(self, hustlers: Sequence[UserId]) -> list[Engagement]:
        """As the database has them, later."""
        found = await super().engagements(hustlers)
        self.read.set()
        if self.arrives is not None:
            await self.arrives.wait()
        return found


async def test_an_older_answer_about_trips_does_not_replace_a_newer_one(service: Service) -> None:
    """A poster must not see somebody whose trip has ended meanwhile."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    task = await accepted(service, poster, hustler, place)
    late = Late(service.parts.queries.tasks)
    en_route = EnRoute(service.parts.hub.send_volatile, late)
    late.arrives = arrives = asyncio.Event()
    older = asyncio.create_task(en_route.load([hustler.user_id]))
    await late.read.wait()
    await service.rest(poster, "POST", f"/v1/tasks/{task}/cancel", {})
    late.arrives = None
    await en_route.load([hustler.user_id])
    arrives.set()
    await older
    assert hustler.user_id not in en_route
    assert not en_route._loaded_by


async def test_generations_are_asked_for_together(
    service: Service, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come at once, their first heartbeats cost the same few round trips."""
    place, now = somewhere(), time.monotonic()
    heartbeats = Heartbeats(Presence(valkey))
    await heartbeats._watch()
    heartbeats._watch_at = now + 60.0
    point = LatLng(place["lat"], place["lng"])
    users = [(await service.user()).user_id for _ in range(30)]
    tracked_hustlers = [
        TrackedHustler(u, None, Track(point, time.time()), now, now, live=True) for u in users
    ]
    for tracked in tracked_hustlers:
        heartbeats.moved(tracked)
    sent = []
    run = valkey.run

    async def counting(pipeline: Pipeline) -> list[object]:
        if pipeline:
            sent.append(len(pipeline))
        return await run(pipeline)

    monkeypatch.setattr(valkey, "run", counting)
    await heartbeats.round()
    assert sent == [30, 31]
    assert all(tracked.slot for tracked in tracked_hustlers)


def tracked_at(user: UserId, place: dict[str, float]) -> TrackedHustler:
    """A hustler in LIVE mode, just heard of."""
    now = time.monotonic()
    track = Track(LatLng(place["lat"], place["lng"]), time.time())
    return TrackedHustler(user, None, track, now, now, live=True)


async def test_whoever_leaves_waits_for_no_write_and_is_gone_after_it(
    service: Service, presence: Presence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of LIVE mode is answered at once, however long the batch on its way takes."""
    hustler, place = await service.user(), somewhere()
    heartbeats = Heartbeats(presence)
    tracked = tracked_at(hustler.user_id, place)
    is_writing, may_write = asyncio.Event(), asyncio.Event()
    write = presence.write

    async def slowly(*arguments: object, **options: object) -> object:
        is_writing.set()
        await may_write.wait()
        return await write(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(presence, "write", slowly)
    heartbeats.moved(tracked)
    round_ = asyncio.create_task(heartbeats.round())
    await is_writing.wait()
    heartbeats.stop(tracked)
    may_write.set()
    await round_
    assert tracked.slot is not None, "the write on its way came after the end"
    assert await found(presence, hustler, place) is None
    assert not await presence.present([hustler.user_id])


async def test_a_hustler_taken_over_by_another_process_is_no_longer_kept_up(
    service: Service, presence: Presence
) -> None:
    """A newer generation stands: this process would write back for ever what others own."""
    hustler, place = await service.user(), somewhere()
    heartbeats = Heartbeats(presence)
    tracked = tracked_at(hustler.user_id, place)
    heartbeats.moved(tracked)
    await heartbeats.round()
    assert list(heartbeats.live) == [tracked]
    (newer,) = await presence.new_generations([hustler.user_id])
    await presence.write([Heartbeat(hustler.user_id, tracked.track.point, newer, 1)])
    heartbeats.moved(tracked)
    await heartbeats.round()
    assert not heartbeats.live
    assert (await presence.within(cells.cover(tracked.track.point, 10.0))).generation == newer


async def test_a_hustler_not_heard_of_for_ten_minutes_is_forgotten(
    service: Service, presence: Presence
) -> None:
    """Who went on in another process stays in nobody's memory here; the last fix is kept."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place) as client:
        await eventually(presence, hustler, place, place)
        await client.ask("PING")
        tracker = service.parts.location_tracker
        await tracker.forget_silent()
        tracked = tracker._tracked[hustler.user_id]
        tracked.heard_at -= 601
        await tracker.forget_silent()
        assert hustler.user_id not in tracker._tracked
        assert tracked not in tracker._heartbeats.live
        fix = await service.parts.queries.live.last_fix(hustler.user_id)
        assert fix is not None
        assert (fix.lat, fix.lng) == (place["lat"], place["lng"])
        assert await found(presence, hustler, place) is not None


async def test_positions_by_rest_keep_a_hustler_present(
    service: Service, presence: Presence
) -> None:
    """POST /v1/live and PUT /v1/live/location are the same entry."""
    hustler, place = await service.user(), somewhere()
    await service.rest(hustler, "POST", "/v1/live", {"location": place})
    await eventually(presence, hustler, place, place)
    await service.rest(hustler, "PUT", "/v1/live/location", {"location": near(place, 0.01)})
    await eventually(presence, hustler, near(place, 0.01), place)


async def test_a_position_that_is_nobodys_business_is_refused(service: Service) -> None:
    """Neither LIVE nor on the way: HX903."""
    async with joined(service, await service.user()) as client:
        error = await client.ask("UPDATE_LOCATION", {"location": somewhere()})
        assert error["data"]["code"] == "HX903"


@pytest.mark.parametrize(
    ("fix", "reason"),
    [
        ({"location": {"lat": 0.0, "lng": 0.0}}, "null_island"),
        ({"location": {"lat": 37.0, "lng": -122.0, "accuracy_m": 101}}, "inaccurate"),
        (
            {"location": {"lat": 37.0, "lng": -122.0}, "at": "2001-01-01T00:00:00Z"},
            "older_than_last",
        ),
        ({"location": {"lat": 37.0, "lng": -122.0}}, "impossible_speed"),
    ],
)
async def test_a_bad_fix_is_refused_and_the_session_goes_on(
    service: Service, fix: Message, reason: str
) -> None:
    """HX021 with the rule's name; the last good position stands."""
    async with live(service, await service.user(), somewhere()) as client:
        error = await client.ask("UPDATE_LOCATION", fix)
        assert (error["type"], error["data"]["code"]) == ("ERROR", "HX021")
        assert error["data"]["reason"] == reason
        assert (await client.ask("PING"))["type"] == "PONG"


async def test_a_fix_from_the_future_is_refused(service: Service) -> None:
    """Clocks may differ by seconds, not by a minute."""
    place = somewhere()
    ahead = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    async with live(service, await service.user(), place) as client:
        error = await client.ask("UPDATE_LOCATION", {"location": place, "at": ahead})
        assert error["data"]["code"] == "HX021"


async def test_three_suspects_end_the_session(service: Service, presence: Presence) -> None:
    """Teleporting three times: FORCED off, told by a durable event, out of presence."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place) as client:
        for _ in range(3):
            error = await client.ask("UPDATE_LOCATION", {"location": near(place, 500)})
            assert error["data"]["code"] == "HX021"
        off = await client.hear_until("LIVE_MODE_STATE_CHANGE")
        assert (off["data"], "seq" in off) == ({"state": "OFF", "reason": "FORCED"}, True)
        await eventually(presence, hustler, None, place)


async def jumped(client: Client, place: dict[str, float]) -> None:
    """Three times where nobody can be so soon; the session ends."""
    for _ in range(3):
        await client.ask("UPDATE_LOCATION", {"location": near(place, 500)})
    await client.hear_until("LIVE_MODE_STATE_CHANGE", state="OFF")


async def refused_live(service: Service, user: User, spot: dict[str, float]) -> str:
    """The reason for which POST /v1/live refuses a place (HX021)."""
    answer = await service.http.post(
        "/v1/live", json={"location": spot}, headers={"Authorization": f"Bearer {user.token}"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "HX021"), answer.text
    return str(answer.json()["detail"])


@pytest.mark.parametrize("end", ["impossible", "MANUAL", "OFFLINE", "elsewhere"])
async def test_however_a_session_ended_the_next_begins_where_its_hustler_can_be(
    service: Service, end: str
) -> None:
    """By socket and by REST the false place is refused, whatever time it claims; the true one is not."""
    hustler, place = await service.user(), somewhere()
    false = near(place, 500)
    async with live(service, hustler, place) as client:
        if end == "impossible":
            await jumped(client, place)
        elif end == "elsewhere":
            await service.owner.execute("select end_live($1, 'OFFLINE')", hustler.user_id)
            await client.hear_until("LIVE_MODE_STATE_CHANGE", state="OFF")
        else:
            await service.parts.location_tracker.end_live(hustler.user_id, end)  # type: ignore[arg-type]
        error = await client.ask("SUBSCRIBE_LIVE_MODE", {"location": false})
        assert error["data"]["code"] == "HX021"
        assert "impossible_speed" in await refused_live(service, hustler, false)
        ago = (datetime.now(UTC) - timedelta(hours=7)).isoformat()
        error = await client.ask("SUBSCRIBE_LIVE_MODE", {"location": false, "at": ago})
        assert error["data"]["code"] == "HX021"
        kept = await service.parts.queries.live.last_fix(hustler.user_id)
        assert kept is not None
        assert abs(kept.lat - place["lat"]) < 1e-9
        if end != "MANUAL":  # HX904
            await service.rest(hustler, "POST", "/v1/live", {"location": near(place, 0.02)})


async def test_a_process_that_never_saw_a_hustler_guards_their_first_position_too(
    service: Service,
) -> None:
    """PUT /v1/live/location where nothing but the kept fix is known; after six hours it says nothing."""
    hustler, place = await service.user(), somewhere()
    await service.rest(hustler, "POST", "/v1/live", {"location": place})
    positions = service.parts.location_tracker
    headers = {"Authorization": f"Bearer {hustler.token}"}

    async def moved(miles: float) -> int:
        positions._tracked.pop(hustler.user_id, None)
        body = {"location": near(place, miles)}
        answer = await service.http.put("/v1/live/location", json=body, headers=headers)
        return answer.status_code

    assert await moved(500) == 422
    assert await moved(0.05) == 204
    await service.owner.execute(
        "update last_fixes set kept_at = kept_at - interval '6 hours' where user_id = $1",
        hustler.user_id,
    )
    assert await moved(500) == 204


@pytest.mark.parametrize("channel", ["PUT", "POST"])
async def test_a_process_that_never_saw_a_session_begin_ends_it_for_jumps_too(
    service: Service, channel: str
) -> None:
    """Three suspects, by moving or by going LIVE again: they count from the first one on."""
    hustler, place = await service.user(), somewhere()
    await service.rest(hustler, "POST", "/v1/live", {"location": place})
    service.parts.location_tracker._tracked.pop(hustler.user_id)
    headers = {"Authorization": f"Bearer {hustler.token}"}
    path = "/v1/live/location" if channel == "PUT" else "/v1/live"
    for _ in range(3):
        body = {"location": near(place, 500)}
        answer = await service.http.request(channel, path, json=body, headers=headers)
        assert answer.status_code == 422
    async with asyncio.timeout(3.0):
        while (await service.rest(hustler, "GET", "/v1/live"))["state"] != "OFF":  # noqa: ASYNC110 - it ends in a round of its own
            await asyncio.sleep(0.02)
    assert await service.owner.fetchval(
        "select impossible_positions from live_sessions where user_id = $1", hustler.user_id
    )


async def test_the_third_session_that_jumped_is_the_last_until_an_admin_lifts_the_ban(
    service: Service,
) -> None:
    """HX905 without an end, for a true place and any other; lifted, the hustler may be anywhere."""
    hustler, admin, place = await service.user(), await service.user("admin"), somewhere()
    for _ in range(3):
        async with live(service, hustler, place) as client:
            await jumped(client, place)
    async with joined(service, hustler) as client:
        for where in (place, near(place, 400)):
            error = await client.ask("SUBSCRIBE_LIVE_MODE", {"location": where})
            assert error["data"]["code"] == "HX905"
            assert "retry_after_seconds" not in error["data"]
        state = await service.rest(hustler, "GET", "/v1/live")
        assert (state["state"], state["reason"], "ends_at" in state) == ("OFF", "BANNED", False)
        path = f"/v1/admin/users/{hustler.user_id}"
        file = await service.rest(admin, "GET", path)
        assert file["banned_until"] == "9999-12-31T23:59:59.000000Z"
        await service.rest(admin, "POST", f"{path}/live-ban", {"until": None, "reason": "Seen."})
        answer = await client.ask("SUBSCRIBE_LIVE_MODE", {"location": near(place, 500)})
        assert answer["data"] == {"state": "ACTIVE"}


@pytest.mark.parametrize("channel", ["SUBSCRIBE_LIVE_MODE", "UPDATE_LOCATION", "PUT"])
async def test_a_position_counts_from_when_it_was_measured(
    service: Service, presence: Presence, channel: str
) -> None:
    """Two hours old it is believed and nobody is matched there; a newer one counts at once."""
    hustler, place = await service.user(), somewhere()
    hours_ago = datetime.now(UTC) - timedelta(hours=2)
    old = {"location": place, "at": hours_ago.isoformat()}
    older = {"location": place, "at": (hours_ago - timedelta(minutes=1)).isoformat()}
    async with joined(service, hustler) as client:
        if channel == "PUT":
            await service.rest(hustler, "POST", "/v1/live", older)
            await service.rest(hustler, "PUT", "/v1/live/location", old)
        else:
            await client.ask("SUBSCRIBE_LIVE_MODE", old if channel != "UPDATE_LOCATION" else older)
        if channel == "UPDATE_LOCATION":
            await client.say(channel, old)
        await client.ask("PING")
        await asyncio.sleep(0.1)
        assert await found(presence, hustler, place) is None
        fresh = (datetime.now(UTC) - timedelta(minutes=4)).isoformat()
        moved = {"location": near(place, 0.05), "at": fresh}
        if channel == "PUT":
            await service.rest(hustler, "PUT", "/v1/live/location", moved)
        else:
            await client.say("UPDATE_LOCATION", moved)
        await eventually(presence, hustler, near(place, 0.05), place)


async def test_where_somebody_was_is_neither_shown_nor_an_arrival(service: Service) -> None:
    """An old position at the door of a task: the poster sees nobody come, nobody has arrived."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with joined(service, poster) as posting, joined(service, hustler) as driving:
        task = await accepted(service, poster, hustler, place)
        await driving.hear_until("TASK_STATUS_UPDATE", task_id=task, state="ACCEPTED")
        ago = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
        await driving.say("UPDATE_LOCATION", {"location": place, "at": ago})
        await driving.say("UPDATE_LOCATION", {"location": near(place, 1.0)})
        seen = await posting.hear_until("HUSTLER_LOCATION", task_id=task)
        assert seen["data"]["location"] == near(place, 1.0)
        assert (await service.rest(hustler, "GET", f"/v1/tasks/{task}"))["arrived_at"] is None


async def accepted(service: Service, poster: User, hustler: User, place: dict[str, float]) -> str:
    """A STANDARD task the hustler holds; its id."""
    task = await service.live_task(poster, place, mode="STANDARD")
    await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/fund", {})
    await service.rest(hustler, "POST", f"/v1/tasks/{task['id']}/accept", {})
    return str(task["id"])


async def test_who_drives_to_a_task_is_seen_by_its_poster_but_not_matchable(
    service: Service, presence: Presence
) -> None:
    """A STANDARD task, no LIVE mode: HUSTLER_LOCATION, no presence."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with joined(service, poster) as posting, joined(service, hustler) as driving:
        task = await accepted(service, poster, hustler, place)
        await driving.say("UPDATE_LOCATION", {"location": near(place, 2.0)})
        seen = await posting.hear_until("HUSTLER_LOCATION", task_id=task)
        assert seen["data"]["location"] == near(place, 2.0)
        assert "seq" not in seen
        assert await found(presence, hustler, near(place, 2.0)) is None


async def test_a_position_within_150_m_records_the_arrival_once(service: Service) -> None:
    """Arrived by position; afterwards the poster can no longer cancel."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with joined(service, hustler) as driving:
        task = await accepted(service, poster, hustler, place)
        await driving.hear_until("TASK_STATUS_UPDATE", task_id=task, state="ACCEPTED")
        ago = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        await driving.say("UPDATE_LOCATION", {"location": near(place, 0.12), "at": ago})
        await driving.ask("PING")
        assert (await service.rest(hustler, "GET", f"/v1/tasks/{task}"))["arrived_at"] is None
        await driving.say("UPDATE_LOCATION", {"location": near(place, 0.05)})
        await driving.hear_until("TASK_STATUS_UPDATE", task_id=task, state="ACCEPTED")
        arrived_at = (await service.rest(hustler, "GET", f"/v1/tasks/{task}"))["arrived_at"]
        assert arrived_at is not None


async def test_the_poster_sees_no_more_of_who_has_started_to_work(service: Service) -> None:
    """HUSTLER_LOCATION only while ACCEPTED; then the positions of whoever is not live are refused."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with joined(service, poster) as posting, joined(service, hustler) as driving:
        task = await accepted(service, poster, hustler, place)
        await driving.say("UPDATE_LOCATION", {"location": place})
        await posting.hear_until("HUSTLER_LOCATION", task_id=task)
        (code,) = (await service.parts.queries.codes.start_codes([TaskId(uuid_of(task))])).values()
        await service.rest(hustler, "POST", f"/v1/tasks/{task}/start", {"code": code})
        await posting.hear_until("JOB_STARTED")
        async with asyncio.timeout(3.0):
            while hustler.user_id in service.parts.location_tracker._en_route:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # the start is heard of, then read anew
        error = await driving.ask("UPDATE_LOCATION", {"location": place})
        assert error["data"]["code"] == "HX903"


async def test_presence_is_written_back_after_valkey_was_lost(
    service: Service, presence: Presence, valkey: Valkey
) -> None:
    """A server with another run id is an empty one: everybody is back within two seconds."""
    hustler, place = await service.user(), somewhere()
    async with live(service, hustler, place):
        await eventually(presence, hustler, place, place)
        await valkey.one(b"FLUSHDB")
        assert await found(presence, hustler, place) is None
        service.parts.location_tracker._heartbeats._run_id = "of the server before"
        began = time.monotonic()
        await eventually(presence, hustler, place, place)
        assert time.monotonic() - began < 2.5


async def test_a_session_nobody_hears_of_ends_as_offline(
    service: Service, presence: Presence
) -> None:
    """Away for five minutes, and no task held; who was heard of stays."""
    away, here, holder = [await service.user() for _ in range(3)]
    poster, place = await service.user("poster"), somewhere()
    parts = service.parts
    async with live(service, here, place):
        for user in (away, holder):
            await parts.commands.live.go_live(user.user_id, None, None)
        await accepted(service, poster, holder, place)
        await service.owner.execute(
            "update live_status set active_since = active_since - interval '6 minutes'"
            " where user_id = any($1)",
            [away.user_id, here.user_id, holder.user_id],
        )
        absences = absences_of(service, presence)
        swept = await absences.sweep()
        assert away.user_id in swept
        assert here.user_id not in swept
        states = [
            (await parts.queries.live.state(user.user_id)).state for user in (away, here, holder)
        ]
        assert states == ["OFF", "ACTIVE", "ACTIVE"]


async def test_nobody_is_missed_right_after_the_start_or_a_loss(service: Service) -> None:
    """An empty directory says nothing then: the guard lasts as long as the absence it judges."""
    heartbeats = service.parts.location_tracker._heartbeats
    assert time.monotonic() - heartbeats.lost_at < 300.0


async def test_an_empty_list_of_categories_is_refused_on_the_socket_too(service: Service) -> None:
    """VALIDATION_ERROR, and the session is not open; absent means all."""
    async with joined(service, await service.user()) as client:
        place = somewhere()
        error = await client.ask("SUBSCRIBE_LIVE_MODE", {"location": place, "categories": []})
        assert error["data"]["code"] == "VALIDATION_ERROR"
        answer = await client.ask("SUBSCRIBE_LIVE_MODE", {"location": place, "categories": None})
        assert answer["data"]["state"] == "ACTIVE"


async def test_who_may_not_work_is_refused_as_by_rest(service: Service) -> None:
    """HX503 for a poster, whatever a hustler may ask."""
    poster = await service.user("poster")
    async with joined(service, poster) as client:
        for kind, data in (
            ("SUBSCRIBE_LIVE_MODE", {"location": somewhere()}),
            ("UPDATE_LOCATION", {"location": somewhere()}),
            ("RESPOND_TO_BROADCAST", {"broadcast_id": str(uuid4()), "response": "ACCEPT"}),
        ):
            error = await client.ask(kind, data)
            assert (error["type"], error["data"]["code"]) == ("ERROR", "HX503"), kind


async def test_a_hustler_s_word_is_measured_by_the_last_position(service: Service) -> None:
    """Miles away it is refused; never seen, or seen long ago, it is a claim; presence knows it too."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    task = await accepted(service, poster, hustler, place)
    path = f"/v1/tasks/{task}/arrived"

    async def says() -> tuple[int, object]:
        answer = await service.http.post(
            path, json={}, headers={"Authorization": f"Bearer {hustler.token}"}
        )
        return answer.status_code, answer.json().get("arrived_at", answer.json().get("invariant"))

    assert await says() == (200, None)
    old = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
    await service.rest(
        hustler, "PUT", "/v1/live/location", {"location": near(place, 0.0), "at": old}
    )
    assert await says() == (200, None)
    await service.rest(hustler, "PUT", "/v1/live/location", {"location": near(place, 2.0)})
    assert await says() == (422, "ARRIVAL")
