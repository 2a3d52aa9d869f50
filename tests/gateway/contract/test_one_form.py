"""Whatever the service says, by whichever road: times and numbers have one form.

A busy life is lived over real sockets and REST; each message and each answer is then held against
the type that AsyncAPI or OpenAPI describes it by.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import inspect

from gateway.contract import codec, server
from gateway.server.routes import ENDPOINTS
from tests.gateway.contract.forms import faults, may_be
from tests.support.service import Client, Message, Service, User, joined, live, near, somewhere

UNREAD = {
    "/v1/photos/{photo_id:uuid}",
    "/v1/payout-account",
    "/v1/admin/hustlers/nearest",
    "/v1/events/stream",
}
"""No JSON, not there without a provider that pays out, read by its user, and one without an end."""


class WireRecorder:
    """Hears a service and notes what has another form."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.types: set[str] = set()
        self.paths: set[str] = set()
        self.found: set[str] = set()

    def frames(self, *clients: Client) -> None:
        """What these sockets were told."""
        for message in (m for client in clients for m in client.heard):
            self.frame(message)

    def frame(self, message: Message) -> None:
        """One message, in its envelope or as GET /v1/events shows it."""
        kind = message["type"]
        self.types.add(kind)
        shape = inspect.type_info(server.SERVER_MESSAGES[kind])
        self.found.update(faults(message.get("data") or {}, shape, kind))

    async def reads(self, user: User, path: str, **ids: str) -> Any:
        """One GET, held against the answer its route describes."""
        (call,) = (c for c in ENDPOINTS if (c.method, c.path) == ("GET", path))
        self.paths.add(path)
        url = re.sub(r"\{(\w+):uuid\}", lambda name: ids[name[1]], path)
        query = {
            "/v1/tasks": "?role=poster",
            "/v1/admin/items": "",
            "/v1/admin/disputes": "?state=OPEN",
            "/v1/admin/tasks/{task_id:uuid}/explain": f"?hustler_id={ids.get('user_id')}",
        }
        answer = await self.service.rest(user, "GET", url + query.get(path, ""))
        kinds = [kind for kind in call.answer_types if may_be(answer, inspect.type_info(kind))]
        self.found.update(faults(answer, inspect.type_info(kinds[0]), path))
        for event in answer.get("events", []) if path == "/v1/events" else []:
            self.frame(event)
        return answer

    async def does(self, user: User, path: str, body: object = None) -> Any:
        """One POST; its answer has no other form of time either."""
        answer = await self.service.rest(user, "POST", path, body or {})
        self.found.update(faults(answer, inspect.AnyType(), path))
        return answer


async def funded(recorder: WireRecorder, poster: User, place: Message, **fields: Any) -> str:
    """The id of a new task that is paid for."""
    task = await recorder.service.live_task(poster, place, **fields)
    await recorder.does(poster, f"/v1/tasks/{task['id']}/fund")
    return str(task["id"])


async def codes(recorder: WireRecorder, poster: User, task: str) -> tuple[str, str]:
    """The poster's codes."""
    shown = await recorder.reads(poster, "/v1/tasks/{task_id:uuid}", task_id=task)
    return shown["start_code"], shown["completion_code"]


async def paid(
    recorder: WireRecorder, poster: User, hustler: User, driving: Client, place: Message
) -> str:
    """From the card to the XP, with another price and a proof that was turned down."""
    week = (await _in_a_week(recorder.service)).replace("Z", "+16:00")
    task = await funded(recorder, poster, place, deadline=week, estimated_minutes=30)
    path = f"/v1/tasks/{task}"
    card = await driving.hear_until("LIVE_TASK_BROADCAST")
    await recorder.reads(hustler, "/v1/offers")
    answer = {"broadcast_id": card["data"]["broadcast_id"], "response": "ACCEPT"}
    await driving.ask("RESPOND_TO_BROADCAST", answer)
    asked = await recorder.does(hustler, f"{path}/price-proposals", {"price_cents": 5_000})
    await recorder.does(poster, f"{path}/price-proposals/{asked['id']}/accept")
    await recorder.does(poster, f"{path}/fund")
    await driving.say("UPDATE_LOCATION", {"location": near(place, 0.4)})
    start, completion = await codes(recorder, poster, task)
    await recorder.does(hustler, f"{path}/start", {"code": start})
    await recorder.does(hustler, f"{path}/proofs", {"code": completion})
    await recorder.does(poster, f"{path}/reject", {"reason": "It squeaks."})
    await recorder.does(hustler, f"{path}/proofs", {"code": completion})
    await recorder.does(poster, f"{path}/approve")
    await driving.find("XP_AWARDED")
    return task


async def disputed(recorder: WireRecorder, poster: User, hustler: User, place: Message) -> str:
    """A task at which both sides disagree."""
    task = await funded(recorder, poster, place, mode="STANDARD")
    await recorder.does(hustler, f"/v1/tasks/{task}/accept")
    start, _ = await codes(recorder, poster, task)
    await recorder.does(hustler, f"/v1/tasks/{task}/start", {"code": start})
    await recorder.does(poster, f"/v1/tasks/{task}/dispute", {"reason": "It fell."})
    await recorder.does(poster, f"/v1/tasks/{task}/evidence", {"text": "It did."})
    return task


async def operated(
    recorder: WireRecorder, admin: User, hustler: User, loser: User, task: str
) -> None:
    """A ban, a tier, and an item that waits."""
    why = {"reason": "Seen."}
    until = (await _in_a_week(recorder.service)).replace("Z", "-16:00")
    await recorder.does(admin, f"/v1/admin/users/{loser.user_id}/live-ban", {"until": until} | why)
    await recorder.does(admin, f"/v1/admin/users/{hustler.user_id}/trust-tier", {"tier": 3} | why)
    await recorder.service.owner.execute(
        "select open_item('WORKING_STALE', $1, jsonb_build_object('started_at', wire_time(now())))",
        task,
    )


async def read_all(
    recorder: WireRecorder, admin: User, readers: tuple[User, ...], ids: dict[str, str]
) -> None:
    """Every GET there is, by whoever may."""
    for path in ("/v1/tasks", "/v1/events", "/v1/snapshot", "/v1/me", "/v1/me/progress"):
        for user in readers:
            await recorder.reads(user, path)
    for call in ENDPOINTS:
        if call.method != "GET" or call.path in recorder.paths | UNREAD:
            continue
        reader = next(user for user in (*readers, admin) if user.role in call.who)
        await recorder.reads(reader, call.path, **ids)


async def test_times_and_numbers_have_one_form_on_every_channel(service: Service) -> None:
    """Sockets, event log, snapshot, answers, the admin API."""
    recorder, place = WireRecorder(service), somewhere()
    admin, poster, hustler = [await service.user(role) for role in ("admin", "poster", "hustler")]
    loser = await service.user()
    async with (
        joined(service, poster) as posting,
        joined(service, admin) as watching,
        live(service, hustler, near(place)) as driving,
        live(service, loser, near(place, 0.6)) as losing,
    ):
        await watching.say("SUBSCRIBE_CITY")
        task = await paid(recorder, poster, hustler, driving, place)
        await losing.find("LIVE_TASK_UNAVAILABLE")
        contested = await disputed(recorder, poster, hustler, near(place, 40))
        await watching.ask("SUBSCRIBE_TASK", {"task_id": contested})
        await operated(recorder, admin, hustler, loser, contested)
        cancelled = await funded(recorder, poster, near(place, 80))
        await recorder.does(poster, f"/v1/tasks/{cancelled}/cancel", {"reason": "Sold it."})
        await posting.find("PAYMENT_REFUNDED", task_id=cancelled)
        await posting.ask("PING")
        await losing.raw('{"type":"UPDATE_LOCATION","data":{}}')
        await losing.hear_until("ERROR")
        await driving.find("BADGE_UNLOCKED")
        await watching.find("CITY")
        recorder.frames(posting, watching, driving, losing)
    async with joined(service, hustler, last_seq=0) as replayed:
        recorder.frames(replayed)
    dispute = (await service.rest(poster, "GET", f"/v1/tasks/{contested}/dispute"))["id"]
    ids = {"task_id": contested, "user_id": str(loser.user_id), "dispute_id": dispute}
    await read_all(recorder, admin, (poster, hustler), ids)
    for path in ("", "/proofs", "/price-proposals", "/history"):
        await recorder.reads(poster, f"/v1/tasks/{{task_id:uuid}}{path}", task_id=task)
    await recorder.reads(admin, "/v1/admin/users/{user_id:uuid}", user_id=str(hustler.user_id))

    assert recorder.found == set()
    assert server.SERVER_MESSAGES.keys() - recorder.types == {
        "RESYNC",
        "NUDGE",
        "TOKEN_EXPIRING",
    }
    assert {c.path for c in ENDPOINTS if c.method == "GET"} - recorder.paths == UNREAD


async def _in_a_week(service: Service) -> str:
    """A time on the full second, which some encoders write without a fraction."""
    return str(await service.owner.fetchval(
        "select wire_time(date_trunc('second', hx_clock()) + interval '7 days')"
    ))  # fmt: skip


def test_times_look_like_times_only_where_they_are() -> None:
    """A title that happens to be a time stays what its poster wrote; microseconds are always told."""
    data = {"kind": "2030-01-01T00:00:00Z", "text": "x"}
    received = msgspec.json.decode(codec.encode("NUDGE", data))["data"]
    assert received == data
    row = {"task_id": "8a8b8c8d-0000-4000-8000-000000000001", "state": "OPEN"}
    for logged, wired in (
        ("2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00.000000Z"),
        ("2030-01-01T00:00:00.5+00:00", "2030-01-01T00:00:00.500000Z"),
        ("2030-01-01T02:00:00.000001+02:00", "2030-01-01T00:00:00.000001Z"),
        ("0099-01-01T00:00:00+00:00", "0099-01-01T00:00:00.000000Z"),
    ):
        event = codec.logged("TASK_STATUS_UPDATE", row | {"updated_at": logged})
        received = msgspec.json.decode(codec.encode("TASK_STATUS_UPDATE", event))["data"]
        assert received == row | {"updated_at": wired}
