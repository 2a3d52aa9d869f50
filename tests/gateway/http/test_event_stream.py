"""The log as server-sent events, over a real connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from gateway.contract import limits
from gateway.http.transport.patience import Patience
from tests.support.servers import TestDatabase
from tests.support.service import Service, User, joined, near, running, somewhere

PATH = "/v1/events/stream"
WITHIN_S = 5.0


class Said(NamedTuple):
    """One event of a stream; `data` decoded."""

    name: str
    id: str | None
    data: Any


class Reader:
    """Reads one stream, event by event, as the HTML standard says."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments = 0
        self.retry_ms: list[int] = []
        self._lines = response.aiter_lines()

    async def next(self) -> Said:
        """The next event; StopAsyncIteration at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(WITHIN_S):
            async for line in self._lines:
                name, _, value = line.partition(":")
                if not line and "data" in fields:
                    data = json.loads(fields["data"])
                    return Said(fields.get("event", "message"), fields.get("id"), data)
                if line.startswith(":"):
                    self.comments += 1
                elif name == "retry":
                    self.retry_ms.append(int(value))
                elif line:
                    fields[name] = value.removeprefix(" ")
        raise StopAsyncIteration

    async def until(self, name: str) -> Said:
        """The next event of that name."""
        while (said := await self.next()).name != name:
            pass
        return said


@asynccontextmanager
async def stream(service: Service, user: User, **headers: str) -> AsyncIterator[Reader]:
    """An open stream."""
    sent = {"Authorization": f"Bearer {user.token}"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    async with service.http.stream("GET", PATH, headers=sent) as response:
        assert response.status_code == 200, await response.aread()
        yield Reader(response)


async def closed(service: Service) -> None:
    """Returns when the service has noticed that every stream is gone."""
    async with asyncio.timeout(WITHIN_S):
        while service.parts.hub.polls.open:  # noqa: ASYNC110 - it is noticed by and by
            await asyncio.sleep(0.01)


async def cancelled_task(service: Service, poster: User) -> None:
    """One more durable step in the poster's log."""
    task = await service.live_task(poster, somewhere())
    await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/cancel", {})


async def test_the_log_comes_first_and_then_what_happens(service: Service) -> None:
    """With the seq as id and the socket's JSON as data; Last-Event-ID leaves out what is known."""
    poster = await service.user("poster")
    await cancelled_task(service, poster)
    log = (await service.rest(poster, "GET", "/v1/events"))["events"]
    async with stream(service, poster) as reader:
        content_type = reader.response.headers["content-type"]
        assert content_type.startswith("text/event-stream")
        said = [await reader.next() for _ in log]
        assert [int(each.id or 0) for each in said] == [event["seq"] for event in log]
        assert [each.data for each in said] == [
            {name: event[name] for name in ("type", "seq", "data")} for event in log
        ]
        assert (await reader.next()).data["offers"] == []
        await cancelled_task(service, poster)
        fresh = await reader.next()
        assert fresh.id == str(len(log) + 1)
        assert reader.retry_ms == [limits.STREAM_RETRY_MS]
    async with stream(service, poster, Last_Event_ID=str(len(log))) as reader:
        assert await reader.next() == fresh


async def test_a_socket_a_stream_and_a_poll_share_one_cursor(service: Service) -> None:
    """Each goes on where the one before has stopped; nothing is lost and nothing comes twice."""
    poster = await service.user("poster")
    seen: list[int] = []
    for _ in range(2):
        await cancelled_task(service, poster)
        async with joined(service, poster, seen[-1] if seen else 0) as client:
            seen += [message["seq"] for message in client.heard if "seq" in message]
            await cancelled_task(service, poster)
            seen.append((await client.hear_until("TASK_STATUS_UPDATE"))["seq"])
        await cancelled_task(service, poster)
        async with stream(service, poster, Last_Event_ID=str(seen[-1])) as reader:
            with contextlib.suppress(TimeoutError):
                while (said := await reader.next()).name == "message":
                    seen.append(int(said.id or 0))
        await cancelled_task(service, poster)
        page = await service.rest(poster, "GET", f"/v1/events?after={seen[-1]}&wait=5")
        seen += [event["seq"] for event in page["events"]]
    log = await service.rest(poster, "GET", "/v1/events")
    assert seen == [event["seq"] for event in log["events"]][: len(seen)]
    assert seen[-1] == page["last_seq"]


async def test_open_offers_are_told_at_the_start_and_at_each_change(service: Service) -> None:
    """All of them each time; a poll after the stream has them at once, for it may have been cut."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    await service.rest(hustler, "POST", "/v1/live", {"location": near(place)})
    async with stream(service, hustler) as reader:
        assert (await reader.until("offers")).data["offers"] == []
        task = await service.funded(poster, place)
        (offer,) = (await reader.until("offers")).data["offers"]
        assert offer["task"]["id"] == task["id"]
    await closed(service)
    after = (await service.rest(hustler, "GET", "/v1/events"))["last_seq"]
    polled = await service.rest(hustler, "GET", f"/v1/events?after={after}&wait=20")
    assert polled["offers"] == [offer]
    async with stream(service, hustler) as reader:
        again = (await reader.until("offers")).data
        assert again == {"offers": [offer], "offers_tag": polled["offers_tag"]}
        await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/cancel", {})
        assert (await reader.until("offers")).data["offers"] == []


async def test_a_poll_names_the_offers_it_has_and_gets_others_at_once(service: Service) -> None:
    """Whatever became of the answer before."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    await service.rest(hustler, "POST", "/v1/live", {"location": near(place)})
    after = (await service.rest(hustler, "GET", "/v1/events"))["last_seq"]
    path = f"/v1/events?after={after}&wait=20&offers_tag="
    none = (await service.rest(hustler, "GET", path))["offers_tag"]
    polling = asyncio.create_task(service.rest(hustler, "GET", path + none))
    await asyncio.sleep(0.1)
    await service.funded(poster, place)
    lost = await asyncio.wait_for(polling, WITHIN_S)
    for _ in range(2):
        again = await asyncio.wait_for(service.rest(hustler, "GET", path + none), WITHIN_S)
        assert again["offers"] == lost["offers"] != []
    assert "offers" not in await service.rest(
        hustler, "GET", f"/v1/events?after={after}&offers_tag={lost['offers_tag']}"
    )


async def test_a_stream_that_the_log_cannot_continue_is_told_and_goes_on(service: Service) -> None:
    """From the end of the log, with the id to come again with."""
    poster = await service.user("poster")
    await cancelled_task(service, poster)
    last_seq = (await service.rest(poster, "GET", "/v1/snapshot"))["last_seq"]
    async with stream(service, poster, Last_Event_ID="4711") as reader:
        assert await reader.next() == Said(
            "resync", str(last_seq), {"resync": "AHEAD", "last_seq": last_seq}
        )
        await cancelled_task(service, poster)
        assert (await reader.until("message")).id == str(last_seq + 1)


async def test_a_fifth_stream_closes_the_oldest(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told why, so that two apps do not push each other out for ever; the process has a bound too."""
    user = await service.user()
    async with contextlib.AsyncExitStack() as stack:
        readers = [
            await stack.enter_async_context(stream(service, user))
            for _ in range(limits.STREAMS_PER_USER + 1)
        ]
        assert (await readers[0].until("close")).data == {"code": 4305, "name": "TOO_MANY_STREAMS"}
        with pytest.raises(StopAsyncIteration):
            await readers[0].next()
        monkeypatch.setattr(limits, "MAX_POLLS", service.parts.hub.polls.open)
        headers = {"Authorization": f"Bearer {(await service.user()).token}"}
        assert (await service.http.get(PATH, headers=headers)).status_code == 503
    await closed(service)


async def test_a_stream_ends_with_its_token_and_with_its_account(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the codes of the socket; while nothing happens a comment says that it lives."""
    monkeypatch.setattr(limits, "STREAM_HEARTBEAT_S", 0.1)
    short = service.token("short", "hustler", lifetime_s=1)
    await service.parts.authenticator.user(short)
    async with service.http.stream(
        "GET", PATH, headers={"Authorization": f"Bearer {short}"}
    ) as response:
        reader = Reader(response)
        assert (await reader.until("close")).data["name"] == "TOKEN_EXPIRED"
        assert reader.comments
    user = await service.user()
    async with stream(service, user) as reader:
        await reader.until("offers")
        service.parts.hub.suspended(user.user_id)
        assert (await reader.until("close")).data["name"] == "NOT_ALLOWED"


async def test_an_id_that_is_no_seq_is_refused(service: Service) -> None:
    """As any other input."""
    user = await service.user()
    for value in ("x", "-1", str(2**60), "1.5"):
        headers = {"Authorization": f"Bearer {user.token}", "Last-Event-ID": value}
        answer = await service.http.get(PATH, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "VALIDATION_ERROR"), value
    assert (await service.http.head(PATH, headers=headers)).status_code == 422
    headers["Last-Event-ID"] = ""
    assert (await service.http.head(PATH, headers=headers)).status_code == 200


async def test_a_stopping_service_spreads_its_streams_and_a_still_reader_is_cut(
    fresh_database: TestDatabase, valkey_url: str, tmp_path: Path
) -> None:
    """Nothing waits for either: not the shutdown, and not the memory of the process."""
    dsn, owner_dsn = fresh_database.dsn, fresh_database.owner_dsn
    async with contextlib.AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            running(dsn, owner_dsn, valkey_url, tmp_path, patience=Patience(answer_stall_s=0.2))
        )
        user = await service.user()
        await service.owner.execute(
            "select append_events((select jsonb_agg(hx_event($1, 'NUDGE', jsonb_build_object("
            "'kind', 'CHOICE', 'text', repeat('x', 4000)))) from generate_series(1, 3000)))",
            user.user_id,
        )
        still, writer = await asyncio.open_connection(
            service.url.rsplit("/", 1)[1].split(":")[0], int(service.url.rsplit(":", 1)[1])
        )
        writer.write(
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {user.token}\r\n\r\n".encode()
        )
        await still.readexactly(1)
        await closed(service)
        writer.close()

        other = await service.user()
        reader = await stack.enter_async_context(stream(service, other))
        await reader.until("offers")
        service.parts.hub.stop()
        assert (await reader.until("close")).data == {"code": 1012, "name": "RESTARTING"}
        least, most = limits.STREAM_DRAIN_RETRY_MS
        assert least <= reader.retry_ms[-1] <= most
        headers = {"Authorization": f"Bearer {other.token}"}
        assert (await service.http.get(PATH, headers=headers)).status_code == 503
