"""The city feed, and documents that must say what the service does."""

from __future__ import annotations

import re

import msgspec
import pytest

from gateway.contract import asyncapi, close_codes, limits
from gateway.contract.map import CITY_STATE, City
from gateway.contract.server import DURABLE, SERVER_MESSAGES
from sql.schema_files import read_schema
from tests.support.market import open_market
from tests.support.paths import ROOT
from tests.support.servers import TestDatabase
from tests.support.service import Service, joined, live, near, open_client, somewhere

DOCS = ROOT / "docs"


async def test_an_observer_sees_the_city(service: Service) -> None:
    """Hustlers where they are, tasks with their radius, figures; at most two frames a second."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    admin = await service.user("admin")
    async with live(service, hustler, near(place)) as driving, joined(service, admin) as client:
        task = await service.funded(poster, place)
        await driving.hear_until("LIVE_TASK_BROADCAST")
        await client.say("SUBSCRIBE_CITY")
        city = msgspec.convert((await client.hear_until("CITY"))["data"], City)
        spot = near(place)
        assert (round(spot["lat"], 5), spot["lng"], 0) in city.hustlers
        (shown,) = [t for t in city.tasks if str(t.id) == task["id"]]
        assert (shown.state, shown.radius_miles, shown.hustlers_notified) == ("MATCHING", 3.0, 1)
        assert city.stats.sessions >= 2
        assert city.stats.live >= 1
        assert city.stats.matching >= 1
        await client.hear_until("CITY")
        await client.say("UNSUBSCRIBE_CITY")
        await client.ask("PING")
        await client.nothing_but("CITY", for_s=0.2)


async def test_the_city_shows_who_drives_to_which_task(service: Service) -> None:
    """EN_ROUTE, and the hustler's place beside the task."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    admin = await service.user("admin")
    async with live(service, hustler, near(place)) as driving, joined(service, admin) as client:
        task = await service.funded(poster, place)
        card = await driving.hear_until("LIVE_TASK_BROADCAST")
        about = {"broadcast_id": card["data"]["broadcast_id"], "response": "ACCEPT"}
        await driving.ask("RESPOND_TO_BROADCAST", about)
        await client.say("SUBSCRIBE_CITY")
        state = "MATCHING"
        while state != "ACCEPTED":
            city = msgspec.convert((await client.hear_until("CITY"))["data"], City)
            (shown,) = [t for t in city.tasks if str(t.id) == task["id"]]
            state = shown.state
        spot = (round(near(place)["lat"], 5), place["lng"])
        assert shown.hustler == spot
        assert (*spot, CITY_STATE["EN_ROUTE"]) in city.hustlers


async def test_the_city_shows_some_hustlers_and_counts_all(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame has a bound, however many work."""
    monkeypatch.setattr(limits, "MAX_CITY_HUSTLERS", 1)
    one, other, admin = await service.user(), await service.user(), await service.user("admin")
    async with (
        live(service, one, somewhere()),
        live(service, other, somewhere()),
        joined(service, admin) as client,
    ):
        await client.say("SUBSCRIBE_CITY")
        live_ones = 0
        while live_ones < 2:
            city = msgspec.convert((await client.hear_until("CITY"))["data"], City)
            live_ones = city.stats.live
            assert len(city.hustlers) == 1


@pytest.mark.parametrize("role", ["hustler", "poster", "dual"])
async def test_the_city_is_for_admins(service: Service, role: str) -> None:
    """Everybody's position is nobody else's business."""
    async with open_client(service) as client:
        await client.auth(await service.user(role))  # type: ignore[arg-type]
        error = await client.ask("SUBSCRIBE_CITY")
        assert error["data"]["code"] == "HX503"


def test_asyncapi_describes_every_message() -> None:
    """Both directions, each with a payload whose references resolve."""
    document = asyncapi.document("1")
    assert document["asyncapi"] == "3.0.0"
    spoken = document["components"]["messages"]
    for name in SERVER_MESSAGES:
        assert spoken[f"server.{name}"]["payload"]["properties"]["type"] == {"const": name}
    assert "client.RESPOND_TO_BROADCAST" in spoken
    text = msgspec.json.encode(document).decode()
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in document["components"]["schemas"]
    for name in re.findall(r'"#/components/messages/([^"]+)"', text):
        assert name in spoken
    for code in close_codes.ALL:
        assert str(code.code) in document["info"]["description"]


def test_the_protocol_page_lists_the_close_codes_as_they_are() -> None:
    """docs/protocol.md holds the table of gateway/contract/close_codes.py."""
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    for code in close_codes.ALL:
        assert f"| {code.code} | {code.name} | {code.meaning} | {code.action.value} |" in page


def test_the_protocol_page_lists_every_message_of_the_server() -> None:
    """Once each, with a `seq` for those that are durable."""
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z_]+) \| (–|yes|some) \|", page, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(SERVER_MESSAGES)
    assert {name for name, seq in rows if seq != "–"} == DURABLE


def test_the_frames_on_the_protocol_page_are_of_the_vocabulary() -> None:
    """Each example is a message that the server could send, with every field it has."""
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    frames = "\n".join(re.findall(r"```json\n(.*?)```", page, re.DOTALL)).splitlines()
    assert len(frames) > 5
    for frame in filter(None, frames):
        shown = msgspec.json.decode(frame)
        assert shown.keys() == {"type", "seq", "data"}
        assert shown["type"] in DURABLE
        kind = SERVER_MESSAGES[shown["type"]]
        assert shown["data"].keys() == set(kind.__struct_fields__)
        msgspec.convert(shown["data"], kind, strict=True)


def test_the_protocol_page_names_every_reason_for_which_a_task_ends() -> None:
    """The reasons that the commands give, each in its table."""
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    ends = r"(?:end_task|succeed_task)\(\s*t,\s*(?:'\w+'|\S+),\s*\w+,\s*'([A-Z_]+)'"
    reasons = {r for f in read_schema().present for r in re.findall(ends, f.text)}
    assert {"NO_SHOW", "DEADLINE", "HUSTLER_RELEASED", "CHARGEBACK", "UNFUNDED"} <= reasons
    for reason in reasons:
        assert f"| {reason} |" in page, reason


def test_the_protocol_page_states_the_limits_as_they_are() -> None:
    """docs/protocol.md holds figures of gateway/contract/limits.py."""
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    for row in (
        f"| WebSocket message | {limits.MAX_FRAME_BYTES // 1024} KiB |",
        f"| Message of ours | {limits.MAX_MESSAGE_CHARS // 1024} KiB |",
        f"| Sockets of one user | {limits.SOCKETS_PER_USER} |",
        f"| Sockets of a process | {limits.MAX_SOCKETS}, of which {limits.MAX_UNAUTHENTICATED} ",
        f"| Long polls of one user | {limits.POLLS_PER_USER} |",
        f"| Streams of one user | {limits.STREAMS_PER_USER} |",
        f"| Long polls of a process | {limits.MAX_POLLS}, streams among them |",
        f"| (comment) | – | every {limits.STREAM_HEARTBEAT_S:g} s ",
    ):
        assert row in page


async def test_durable_events_have_the_documented_shapes(fresh_database: TestDatabase) -> None:
    """Whatever the commands log fits the message it becomes: no field more, none missing."""
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        paid, _ = await market.submitted()
        await market.commands.proofs.approve(await market.poster_of(paid), paid)
        await market.worker.settle_waiting()
        released, hustler = await market.accepted()
        await market.commands.tasks.release(hustler, released, "flat tyre")
        dearer, doer = await market.accepted("STANDARD")
        proposal = await market.commands.pricing.propose(doer, dearer, 5_000)
        poster = await market.poster_of(dearer)
        await market.commands.pricing.answer(poster, dearer, proposal, agrees=True)
        await market.commands.money.fund(poster, dearer)
        await market.commands.proofs.submit(
            doer, dearer, market.codes.code(dearer, "COMPLETION", 1)
        )
        await market.commands.proofs.reject(poster, dearer, "blurred")
        await market.worker.settle_waiting()
        await market.app.execute(
            "select set_trust_tier($1, $2, 3, 'Seen')", await market.user("admin"), hustler
        )
        disputed, worker = await market.disputed()
        await market.commands.disputes.add_evidence(worker, disputed, "It holds.", [])
        cancelled = await market.funded()
        await market.commands.tasks.cancel(await market.poster_of(cancelled), cancelled, None)
        await market.commands.live.end(await market.live_hustler(), "OFFLINE")
        await market.funded()
        await market.advance("10 minutes")
        await market.timers.fire_due()
        rows = await market.app.fetch("select type, data::text from user_events")

    assert {row["type"] for row in rows} == DURABLE - {"NUDGE"}
    for row in rows:
        kind = SERVER_MESSAGES[row["type"]]
        data = msgspec.json.decode(row["data"])
        msgspec.convert(data, kind)
        assert data.keys() <= set(kind.__struct_fields__), row["type"]
