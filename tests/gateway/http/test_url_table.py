"""The whole URL table as HTTP sees it: which methods each path knows, and what it says of others."""

from __future__ import annotations

import re
from importlib.resources import files
from uuid import uuid4

import httpx
import pytest

from gateway.http.parts import Parts
from gateway.server.routes import ENDPOINTS
from tests.support.rest import People

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "FOO")
PAGES = (
    "/", "/ws", "/livez", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs",
    "/docs.css", "/errors/NOT_FOUND",
    *(f"/{page.name}" for page in files("gateway").joinpath("pages", "map").iterdir()),
)  # fmt: skip


def _table() -> dict[str, set[str]]:
    """Every path with its methods, as the rows say it."""
    table = {page: {"GET", "HEAD"} for page in PAGES}
    table["/v1/webhooks/stripe"] = {"POST"}
    for call in ENDPOINTS:
        path = re.sub(r"\{\w+:uuid\}", lambda _: str(uuid4()), call.path)
        same = next((known for known in table if _shape(known) == _shape(path)), path)
        table.setdefault(same, set()).update({call.method, *(["HEAD"] * (call.method == "GET"))})
    return table


def _shape(path: str) -> str:
    return re.sub(r"[0-9a-f-]{36}", "id", path)


@pytest.mark.parametrize(("path", "known"), _table().items(), ids=map(_shape, _table()))
async def test_every_path_tells_the_methods_it_knows(
    client: httpx.AsyncClient, path: str, known: set[str]
) -> None:
    """405 with exactly these in Allow for all others, as a problem document; never for these."""
    for method in METHODS:
        answer = await client.request(method, path, headers={"Authorization": "Bearer"})
        assert (answer.status_code == 405) is (method not in known), (method, answer.status_code)
        if method in known:
            continue
        assert {word.strip() for word in answer.headers["allow"].split(",")} == known
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"]


async def test_a_path_that_is_not_there_knows_no_method(client: httpx.AsyncClient) -> None:
    """404 for every one of them."""
    for path in ("/nothing", "/v1/nothing", "/map.htm", "/v1/tasks/7", "/ws/"):
        for method in METHODS:
            assert (await client.request(method, path)).status_code == 404, (method, path)


async def test_head_answers_as_get_without_the_body(people: People) -> None:
    """The same status and headers."""
    hustler = await people.person("hustler")
    headers = {"Authorization": f"Bearer {hustler.token}"}
    for path in (
        "/livez",
        "/docs",
        "/v1/me",
        "/v1/offers",
        "/map.js",
        "/ws",
        f"/v1/photos/{uuid4()}",
    ):
        full = await people.client.get(path, headers=headers)
        head = await people.client.head(path, headers=headers)
        assert (head.status_code, head.content) == (full.status_code, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == full.headers[name]


async def test_the_socket_asked_as_a_page_names_the_protocol(client: httpx.AsyncClient) -> None:
    """426 with Upgrade (RFC 9110 §15.5.22)."""
    answer = await client.get("/ws")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.headers["connection"] == "Upgrade"
    assert answer.json()["status"] == 426


@pytest.mark.parametrize(
    ("origin", "method", "asked", "named"),
    [
        ("https://evil.example", "POST", "content-type", "origin"),
        ("https://app.example", "TRACE", "content-type", "method"),
        ("https://app.example", "POST", "x-admin", "headers"),
    ],
)
async def test_a_refused_preflight_is_a_problem_document(
    client: httpx.AsyncClient, origin: str, method: str, asked: str, named: str
) -> None:
    """It says what was refused, under the id of its request."""
    answer = await client.options(
        "/v1/tasks",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": asked,
        },
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert named in answer.json()["detail"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "Origin" in answer.headers["vary"]


async def test_methods_that_clients_invent_are_counted_together(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    """A figure has no more rows than we have methods."""
    for number in range(3):
        await client.request(f"INVENTED{number}", "/v1/me")
    page = parts.metrics.page().decode()
    assert "INVENTED" not in page
    assert 'method="other"' in page
