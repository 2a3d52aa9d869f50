"""What surrounds every request: ids, headers, origins, logs, and answers when something is away."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.http.endpoint import Endpoint
from gateway.http.middleware import RequestMiddleware, exception_handlers
from gateway.http.parts import Parts
from gateway.metrics.metrics import Metrics
from gateway.server.app import create_app
from gateway.server.routes import ENDPOINTS
from geo.valkey import ValkeyAway
from sql.database import DatabaseAway
from tests.support.rest import People

PAGES = ("/livez", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs", "/docs.css")


async def test_a_request_id_is_given_or_kept(client: httpx.AsyncClient) -> None:
    """A well-formed id of the client is used, anything else replaced."""
    kept = await client.get("/livez", headers={"X-Request-ID": "abc-12345"})
    assert kept.headers["x-request-id"] == "abc-12345"
    for bad in ("short", "x" * 65, "a b c d e f g", "<script>alert</script>"):
        replaced = await client.get("/livez", headers={"X-Request-ID": bad})
        assert replaced.headers["x-request-id"] != bad
        assert len(replaced.headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", [*PAGES, "/v1/me", "/nowhere"])
async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient, path: str) -> None:
    """Pages, JSON and refusals alike."""
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "server" not in headers


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", True),
        ("https://app.example.evil.example", False),
        ("https://evil.example", False),
        ("http://app.example", False),
        ("null", False),
    ],
)
async def test_only_listed_origins_may_read(
    client: httpx.AsyncClient, origin: str, *, allowed: bool
) -> None:
    """CORS answers exactly the configured origins, before and with the request."""
    plain = await client.get("/v1/me", headers={"Origin": origin})
    asked = await client.options(
        "/v1/tasks",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )
    for response in (plain, asked):
        received = response.headers.get("access-control-allow-origin")
        assert received == (origin if allowed else None)
    assert "access-control-allow-credentials" not in plain.headers


@pytest.mark.parametrize("call", ENDPOINTS, ids=lambda call: call.name)
async def test_a_page_of_elsewhere_rides_on_nothing(
    people: People, parts: Parts, call: Endpoint
) -> None:
    """No call takes a cookie, a query string or Basic for a token; a form of elsewhere is 401."""
    token = (await people.person("admin")).token
    path = re.sub(r"\{\w+:uuid\}", str(uuid4()), call.path)
    headers = {
        "Origin": "https://evil.example",
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": f"token={token}; Authorization=Bearer {token}; session={token}",
        "Authorization": f"Basic {token}",
    }
    # each from an address of its own: one that shows many bad tokens is braked
    transport = httpx.ASGITransport(create_app(parts), client=(f"page {call.name}", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://hx") as client:
        url = f"{path}?access_token={token}&token={token}"
        response = await client.request(call.method, url, content=b"title=x", headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "HX501")
    assert "set-cookie" not in response.headers
    assert "access-control-allow-origin" not in response.headers


async def test_tokens_never_reach_the_log(people: People) -> None:
    """The access line has method, path, status and id; no query, no header, no body."""
    poster = await people.person("poster")
    with structlog.testing.capture_logs() as lines:
        await poster.call("GET", "/v1/tasks?role=poster&cursor=secret-cursor")
        await poster.call("POST", "/v1/tasks", {"title": "secret-title"})
    assert [line["path"] for line in lines if line["event"] == "request"] == ["/v1/tasks"] * 2
    text = json.dumps(lines, default=str)
    assert poster.token not in text
    assert "secret" not in text


def _broken_app(error: Exception) -> httpx.AsyncClient:
    """A client of the border around a handler that only raises."""

    async def handler(_: Request) -> Response:
        raise error

    metrics = Metrics()
    app = Starlette(
        routes=[Route("/broken", handler)],
        middleware=[Middleware(RequestMiddleware, metrics=metrics.requests)],
        exception_handlers=exception_handlers(metrics.requests),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hx")


@pytest.mark.parametrize("away", [DatabaseAway("10.0.0.7 refused"), ValkeyAway("no answer")])
async def test_a_part_that_is_away_is_a_retryable_503(away: Exception) -> None:
    """UNAVAILABLE with Retry-After, and not a word of where the part lives."""
    async with _broken_app(away) as client:
        response = await client.get("/broken")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["code"] == "UNAVAILABLE"
    assert response.json()["retryable"] is True
    assert str(away) not in response.text


async def test_a_bug_is_a_500_with_an_id_and_a_log_line() -> None:
    """INTERNAL_ERROR; the reason is in the log under the same id, not in the answer."""
    error = RuntimeError('relation "users" does not exist')
    with structlog.testing.capture_logs() as lines:
        async with _broken_app(error) as client:
            response = await client.get("/broken")
    assert response.status_code == 500
    assert response.json()["code"] == "INTERNAL_ERROR"
    assert "users" not in response.text
    (failed,) = [line for line in lines if line["event"] == "request_failed"]
    assert failed["request_id"] == response.headers["x-request-id"]
    assert failed["log_level"] == "error"


async def test_an_upload_of_a_megabyte_is_refused_by_the_server(
    service_url: str, people: People
) -> None:
    """A real connection gets its 413, or its 401 without a token, and the service goes on."""
    poster = await people.person("poster")
    async with httpx.AsyncClient(base_url=service_url) as client:
        for token, status in ((poster.token, 413), ("none", 401)):
            response = await client.post(
                "/v1/tasks",
                content=b"x" * (1 << 20),
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            assert response.status_code == status
            assert (await client.get("/livez")).status_code == 200


async def test_a_client_that_hangs_up_while_polling_leaves_nothing(
    service_url: str, people: People, parts: Any
) -> None:
    """A long poll ends with its connection, without an error."""
    hustler = await people.person("hustler")
    headers = {"Authorization": f"Bearer {hustler.token}"}
    with structlog.testing.capture_logs() as lines:
        async with httpx.AsyncClient(base_url=service_url) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.get("/v1/events?wait=1", headers=headers, timeout=0.2)
        await asyncio.sleep(1.0)
    assert not [line for line in lines if line.get("log_level") == "error"]


async def test_nothing_is_found_under_a_random_error_name(client: httpx.AsyncClient) -> None:
    """Only registered problem types redirect."""
    assert (await client.get(f"/errors/{uuid4()}")).status_code == 404
