"""Health, metrics and the machine-readable contract."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.kernel import errors
from engine.kernel.store import Store
from gateway.http.docs import openapi
from gateway.http.health import Health
from gateway.http.parts import Parts
from gateway.metrics.db_metrics import DbMetrics
from gateway.metrics.metrics import Metrics
from gateway.server.app import create_app
from gateway.server.routes import ENDPOINTS
from sql.database import DatabaseError, Session
from sql.schema_fit import Ledger, digest
from tests.support.rest import People


async def ready() -> None:
    """A part that answers."""


async def away() -> None:
    """A part that does not."""
    raise OSError


async def slow() -> None:
    """A part that takes too long."""
    await asyncio.sleep(60)


FIT = Session(
    login="web",
    acting="hx_app",
    database="d",
    pooled=False,
    read_only=False,
    exceeds=False,
    complaints=(),
)
READ_ONLY = dataclasses.replace(FIT, read_only=True)
NO_TABLE = DatabaseError("42P01", "", 'relation "schema_migrations" does not exist')
LEDGER = {"1": "a", "2": "b", "schema/3": "c"}
UNFIT = dataclasses.replace(FIT, complaints=("lock_timeout is 0",))


@pytest.mark.parametrize(
    ("session", "migrations", "valkey", "expected"),
    [
        (FIT, LEDGER, ready, (True, "ok", "ok", "complete")),
        (FIT, {**LEDGER, "3": "c"}, ready, (True, "ok", "ok", "complete")),
        (FIT, {**LEDGER, "schema/3": "d"}, ready, (True, "ok", "ok", "complete")),
        (FIT, {"1": "a", "2": "b"}, ready, (False, "ok", "ok", "missing")),
        (FIT, {"1": "a"}, ready, (False, "ok", "ok", "missing")),
        (FIT, {**LEDGER, "2": "z"}, ready, (False, "ok", "ok", "missing")),
        (FIT, OSError(), ready, (False, "away", "ok", "unknown")),
        (FIT, NO_TABLE, ready, (False, "ok", "ok", "missing")),
        (FIT, LEDGER, away, (True, "ok", "away", "complete")),
        (FIT, LEDGER, slow, (True, "ok", "away", "complete")),
        (READ_ONLY, LEDGER, ready, (False, "read_only", "ok", "complete")),
        (UNFIT, LEDGER, ready, (False, "unfit", "ok", "complete")),
        (None, LEDGER, ready, (False, "away", "ok", "complete")),
    ],
)
async def test_readiness_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
    session: Session | None,
    migrations: Mapping[str, str] | Exception,
    valkey: Any,
    expected: tuple[bool, str, str, str],
) -> None:
    """Ready needs a writable PostgreSQL, its guard and all migrations as they are here; Valkey degrades only."""
    monkeypatch.setattr("gateway.http.health.PROBE_WITHIN_S", 0.05)

    async def applied() -> Ledger:
        if isinstance(migrations, Exception):
            raise migrations
        # This release's schema was here before that with the functions "d".
        return Ledger(migrations, (digest(LEDGER), digest({**LEDGER, "schema/3": "d"})))

    async def asked() -> Session:
        if session is None:
            raise OSError
        return session

    health = Health(session=asked, applied=applied, expected=LEDGER, valkey=valkey)
    received = await health.readiness()
    assert (received.ready, received.postgres, received.valkey, received.migrations) == expected
    assert received.degraded is (received.valkey == "away" or not received.ready)


async def test_the_service_is_alive_and_ready(client: httpx.AsyncClient) -> None:
    """/livez and /readyz answer 200."""
    assert (await client.get("/livez")).json() == {"status": "ok"}
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["ready"] is True


async def test_metrics_parse_and_explain_themselves(people: People) -> None:
    """Every family has a help text, a known prefix and a unit where it measures one."""
    poster = await people.person("poster")
    await poster.call("GET", "/v1/nothing")
    page = (await people.client.get("/metrics")).text
    families = list(text_string_to_metric_families(page))
    assert all(family.documentation for family in families)
    prefixes = {family.name.split("_")[0] for family in families}
    assert prefixes == {"hustlexp", "process", "python"}
    histograms = [family.name for family in families if family.type == "histogram"]
    assert all(name.endswith("_seconds") for name in histograms)
    assert 'hustlexp_refusals_total{channel="rest",code="NOT_FOUND",invariant=""}' in page


async def test_requests_are_counted_by_route_not_by_path(people: People) -> None:
    """No id gets into a label, so the number of series stays small."""
    poster = await people.person("poster")
    task = await people.task(poster)
    await poster.good("GET", f"/v1/tasks/{task['id']}")
    page = (await people.client.get("/metrics")).text
    assert 'route="/v1/tasks/{task_id:uuid}"' in page
    assert task["id"] not in page


async def count_so_far(store: Store) -> None:
    """Leaves to nobody what other tests have ended."""
    await store.rows("broadcasts_to_count", timedelta(0))


async def test_what_ended_is_counted_by_one_of_all_processes(
    people: People, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked at once or one after the other, their sum is what ended; the gauges are the same in all."""
    monkeypatch.setattr("gateway.metrics.db_metrics.SETTLED", timedelta(0))
    await count_so_far(store)
    now = [0.0]
    all_metrics = [Metrics() for _ in range(3)]
    measured = [DbMetrics(store, metrics, lambda: now[0]) for metrics in all_metrics]
    for one in measured:
        await one.refresh()
    for round_ in range(3):
        await people.accepted()
        now[0] += 2
        if round_:
            await asyncio.gather(*(one.refresh() for one in measured))
        else:
            await measured[0].refresh()
    values = [
        metrics.registry.get_sample_value("hustlexp_broadcasts_ended_total", {"state": "ACCEPTED"})
        for metrics in all_metrics
    ]
    assert sum(value or 0 for value in values) == 3


async def test_time_to_accept_is_counted_once(
    people: People, store: Store, owner_execute: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An accept is in the histogram once it has settled, with its time, and only once."""
    monkeypatch.setattr("gateway.metrics.db_metrics.SETTLED", timedelta(0))
    metrics, now = Metrics(), [0.0]
    measured = DbMetrics(store, metrics, lambda: now[0])
    await count_so_far(store)
    await measured.refresh()
    _, _, task = await people.accepted()
    # A broadcast's start is fixed; only its owner can pretend that people took their time.
    await owner_execute("alter table live_broadcasts disable trigger live_broadcast_guard")
    for statement in (
        "update live_broadcasts set started_at = started_at - interval '30 s' where task_id = $1",
        "update offers set sent_at = offered_at where task_id = $1",
    ):
        await owner_execute(statement, UUID(task["id"]))
    await owner_execute("alter table live_broadcasts enable trigger live_broadcast_guard")
    value = metrics.registry.get_sample_value

    async def counted(at_s: float) -> float | None:
        now[0] = at_s
        await measured.refresh()
        return value("hustlexp_time_to_accept_seconds_count")

    assert [await counted(at_s) for at_s in (0.5, 2.0, 4.0)] == [0, 1, 1]
    assert value("hustlexp_time_to_accept_seconds_sum") == pytest.approx(30, abs=3)
    assert value("hustlexp_human_accept_seconds_count") == 1
    assert value("hustlexp_first_card_seconds_sum") == pytest.approx(30, abs=3)
    assert value("hustlexp_broadcasts_ended_total", {"state": "ACCEPTED"}) == 1


async def test_what_a_failed_look_missed_is_counted_by_the_next(
    people: People, hasty_store: Store, owner_holds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scrape that the database gave up is a refusal, and no accept falls through."""
    monkeypatch.setattr("gateway.metrics.db_metrics.SETTLED", timedelta(0))
    metrics, now = Metrics(), [0.0]
    measured = DbMetrics(hasty_store, metrics, lambda: now[0])
    await count_so_far(hasty_store)
    await measured.refresh()
    await people.accepted()
    now[0] = 2.0
    async with owner_holds("lock table live_broadcasts"):
        with pytest.raises(errors.Refusal) as refused:
            await measured.refresh()
    assert refused.value.kind.code == "HX017"
    now[0] = 4.0
    await measured.refresh()
    ended = metrics.registry.get_sample_value(
        "hustlexp_broadcasts_ended_total", {"state": "ACCEPTED"}
    )
    assert ended == 1


async def test_the_map_gives_an_admins_token_to_nobody_behind_a_proxy(
    parts: Parts,
) -> None:
    """Behind one of this machine everyone comes from 127.0.0.1; and it lasts ten minutes."""
    local = httpx.ASGITransport(create_app(parts), client=("127.0.0.1", 5))
    slot = re.compile('name="hx-observer-token" content="([^"]*)"')
    async with httpx.AsyncClient(transport=local, base_url="http://127.0.0.1") as browser:

        async def given(**headers: str) -> str:
            found = slot.search((await browser.get("/", headers=headers)).text)
            assert found is not None
            return found[1]

        token = await given()
        caller = await parts.authenticator.user(token)
        assert caller.role == "admin"
        assert caller.expires_at - time.time() <= 600
        for name in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Via", "X-Real-IP"):
            assert await given(**{name: "10.0.0.1"}) == ""
        assert await given(Host="elsewhere.example") == ""


def references(document: Any) -> Iterator[str]:
    """Every $ref in a document."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(document, list):
        for value in document:
            yield from references(value)


def resolve(document: Any, reference: str) -> Any:
    """What a local reference points to; KeyError when there is nothing."""
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_a_contract_document_holds_together(client: httpx.AsyncClient, path: str) -> None:
    """Every reference points to something."""
    document = (await client.get(path)).json()
    found = list(references(document))
    assert found
    for reference in found:
        assert resolve(document, reference) is not None


async def test_openapi_describes_each_route(client: httpx.AsyncClient) -> None:
    """Each row of the table is there with a summary, its success, its errors and its inputs."""
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    ids = []
    for call in ENDPOINTS:
        path = call.path.replace(":uuid", "")
        operation = document["paths"][path][call.method.lower()]
        ids.append(operation["operationId"])
        assert operation["summary"].endswith(".")
        assert {str(int(call.status)), "401", "403", "429", "500", "503"} <= set(
            operation["responses"]
        )
        names = {parameter["name"] for parameter in operation["parameters"]}
        assert set(re.findall(r"\{(\w+)\}", path)) <= names
        assert ("Idempotency-Key" in names) == (call.method in ("POST", "PUT"))
        assert all(
            set(parameter) >= {"name", "in", "required", "schema"}
            for parameter in operation["parameters"]
        )
    assert len(set(ids)) == len(ids)
    described = {
        (method, path)
        for path, operations in document["paths"].items()
        for method in operations
        if path.startswith("/v1")
    }
    assert described == {
        (call.method.lower(), call.path.replace(":uuid", "")) for call in ENDPOINTS
    }


async def test_times_are_told_as_times(client: httpx.AsyncClient) -> None:
    """Generated clients get RFC 3339 times, also where one may be absent."""
    shapes = (await client.get("/openapi.json")).json()["components"]["schemas"]
    task, card = shapes["TaskView"]["properties"], shapes["OfferCard"]["properties"]
    assert task["created_at"]["format"] == card["expires_at"]["format"] == "date-time"
    assert "date-time" in [kind.get("format") for kind in task["deadline"]["anyOf"]]
    assert "format" not in task["title"]


async def test_openapi_names_every_identity(client: httpx.AsyncClient) -> None:
    """The reusable error responses list all problem types by status."""
    responses = (await client.get("/openapi.json")).json()["components"]["responses"]
    received = " ".join(response["description"] for response in responses.values())
    assert "HX903-LIVE-3" in responses["Problem403"]["description"]
    assert "HX902-LIVE-2" in responses["Problem422"]["description"]
    assert "IDEMPOTENCY_IN_FLIGHT" in received


async def test_answers_are_what_openapi_says(people: People) -> None:
    """Real bodies have exactly the fields of their schema, required ones always."""
    document = openapi.document(ENDPOINTS, "0")
    poster, hustler, task = await people.accepted()
    samples = {
        "TaskView": task,
        "MeView": await hustler.good("GET", "/v1/me"),
        "Snapshot": await poster.good("GET", "/v1/snapshot"),
        "Problem": (await poster.call("GET", "/v1/nothing")).body,
    }
    for name, body in samples.items():
        schema = document["components"]["schemas"][name]
        assert set(schema["required"]) <= set(body) <= set(schema["properties"]), name


async def test_the_docs_page_shows_all_of_it_without_a_script(client: httpx.AsyncClient) -> None:
    """Every call, message and shape is in its HTML, and nothing is loaded from elsewhere."""
    page = (await client.get("/docs")).text
    for call in ENDPOINTS:
        assert f"<code>{call.path.replace(':uuid', '')}</code>" in page
    for word in ("RESPOND_TO_BROADCAST", "LIVE_TASK_BROADCAST", "4100", "HX012", "shape-TaskView"):
        assert word in page
    assert all(source.startswith("/docs") for source in re.findall(r'src="([^"]*)"', page))
    assert "<script>" not in page
    assert "//" not in re.sub(r"https?://json-schema\S*", "", page)
    anchors = set(re.findall(r'href="#([^"]+)"', page))
    assert anchors <= set(re.findall(r'id="([^"]+)"', page))
