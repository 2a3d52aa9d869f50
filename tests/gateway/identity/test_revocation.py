"""Who is shut out, is: tokens, sockets and long polls of a user end on every node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from engine.kernel.ids import UserId
from gateway.contract import close_codes
from tests.support.service import Service, User, joined, open_client, running

WITHIN_S = 2.0
"""What the protocol promises, of every node."""
WHY = {"reason": "A lost phone."}


class Nodes(NamedTuple):
    """Two services of one database, with one issuer."""

    here: Service
    there: Service


@pytest.fixture(scope="module")
async def nodes(
    database_dsn: str,
    owner_dsn: str,
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Nodes]:
    """Both running."""
    folder: Path = tmp_path_factory.mktemp("nodes")
    servers = (database_dsn, owner_dsn, valkey_url, folder)
    async with running(*servers) as here, running(*servers) as there:
        yield Nodes(here, there)


def older_token(service: Service, subject: str) -> str:
    """A token issued a minute ago."""
    return service.token_at(subject, "hustler", time.time() - 60.0)


async def me(service: Service, token: str) -> tuple[int, str | None]:
    """What GET /v1/me answers: status and code."""
    answer = await service.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json().get("code")


async def refused(service: Service, token: str, refusal: tuple[int, str]) -> None:
    """Until a token is, in time."""
    async with asyncio.timeout(WITHIN_S):
        while await me(service, token) != refusal:  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.05)


def polling(service: Service, token: str) -> asyncio.Task[httpx.Response]:
    """A long poll that waits for news."""
    return asyncio.create_task(
        service.http.get(
            "/v1/events",
            params={"after": 0, "wait": 20},
            headers={"Authorization": f"Bearer {token}"},
        )
    )


async def waiting(node: Service, polls: int) -> None:
    """Until so many long polls wait."""
    async with asyncio.timeout(WITHIN_S):
        while node.parts.hub.polls.open != polls:  # noqa: ASYNC110 - the service tells nobody
            await asyncio.sleep(0.01)


async def known_user(nodes: Nodes, subject: str, token: str) -> UserId:
    """The user of a token, which both nodes have checked and remember."""
    for node in nodes:
        caller = await node.parts.authenticator.user(token)
    assert caller.role == "hustler", subject
    return caller.user_id


@pytest.mark.parametrize(
    ("act", "close", "refusal"),
    [
        ("sessions/revoke", close_codes.TOKEN_REVOKED, (401, "HX502")),
        ("suspend", close_codes.NOT_ALLOWED, (403, "HX503")),
    ],
)
async def test_everything_of_a_user_ends_on_every_node(
    nodes: Nodes, act: str, close: close_codes.CloseCode, refusal: tuple[int, str]
) -> None:
    """Sockets, long polls and remembered tokens; another user's live on."""
    subject = f"ends-{act}"
    token = older_token(nodes.here, subject)
    user = User(await known_user(nodes, subject, token), token, "hustler")
    other = await nodes.there.user()
    admin = await nodes.here.user("admin")
    async with (
        joined(nodes.here, user) as near,
        joined(nodes.there, user) as far,
        joined(nodes.there, other) as living,
    ):
        polls = [polling(node, token) for node in nodes]
        others = polling(nodes.there, other.token)
        await waiting(nodes.here, 1)
        await waiting(nodes.there, 2)
        path = f"/v1/admin/users/{user.user_id}/{act}"
        await nodes.here.rest(admin, "POST", path, WHY)
        async with asyncio.timeout(WITHIN_S):
            assert await near.closed() == await far.closed() == close.code
            answers = await asyncio.gather(*polls)
        assert [(a.status_code, a.json()["code"]) for a in answers] == [refusal] * 2
        for node in nodes:
            await refused(node, token, refusal)
            async with open_client(node) as client:
                error = await client.ask("AUTH", {"token": token})
                assert error["data"]["code"] == refusal[1]
        assert (await living.ask("PING"))["type"] == "PONG"
        others.cancel()


async def test_a_fresh_token_counts_and_survives_the_telling(nodes: Nodes) -> None:
    """Who signed in again is not thrown out by a change that is told late, or twice."""
    old = older_token(nodes.here, "again")
    user = await known_user(nodes, "again", old)
    admin = await nodes.here.user("admin")
    path = f"/v1/admin/users/{user}/sessions/revoke"
    first = await nodes.here.rest(admin, "POST", path, WHY)
    assert first["account_status"] == "ACTIVE"
    fresh = nodes.here.token_at("again", "hustler", time.time() + 2.0)
    async with open_client(nodes.there) as client:
        welcome = await client.ask("AUTH", {"token": fresh})
        assert welcome["type"] == "WELCOME"
        poll = polling(nodes.there, fresh)
        # told once more, as a held-back horizon does
        at = await nodes.here.owner.fetchval(
            "select tokens_revoked_at from users where id = $1", user
        )
        await waiting(nodes.there, 1)
        nodes.there.parts.hub.revoked(user, at)
        assert (await client.ask("PING"))["type"] == "PONG"
        assert not poll.done()
        poll.cancel()
        await refused(nodes.there, old, (401, "HX502"))
        error = await client.ask("AUTH", {"token": old})
        assert error["data"]["code"] == "HX502"
        assert await client.closed() == close_codes.TOKEN_REFUSED.code


async def test_revoking_again_reaches_further(nodes: Nodes) -> None:
    """A repeated act does no harm, and each is on record with its reason."""
    token = older_token(nodes.here, "twice")
    user = await known_user(nodes, "twice", token)
    admin = await nodes.here.user("admin")
    path = f"/v1/admin/users/{user}/sessions/revoke"
    answers = [await nodes.here.rest(admin, "POST", path, WHY) for _ in range(2)]
    assert answers[0]["tokens_revoked_at"] < answers[1]["tokens_revoked_at"]
    acts = await nodes.here.rest(admin, "GET", f"/v1/admin/actions?target_id={user}")
    assert [act["action_type"] for act in acts["items"]] == ["REVOKE_SESSIONS"] * 2
    assert {act["reason"] for act in acts["items"]} == {WHY["reason"]}
