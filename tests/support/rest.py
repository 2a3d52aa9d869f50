"""A REST client for tests, and people who live on it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx

from gateway.cli.dev_accounts import DevAccounts
from gateway.identity.auth import Role

PLACES = itertools.count()
MILE_LAT = 1 / 69.0
"""Degrees of latitude per mile."""


def somewhere() -> tuple[float, float]:
    """A place far from all others of this run, so that tests never offer to each other."""
    number = next(PLACES)
    return 20.0 + (number % 40), -170.0 + 2.0 * (number // 40)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx.Headers
    body: Any

    def refusal(self) -> tuple[int, str, str | None]:
        """Status, code and invariant of a problem document, whose form is checked on the way."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.body["status"] == self.status
        assert self.body["request_id"] == self.headers["x-request-id"]
        return self.status, self.body["code"], self.body.get("invariant")


class Person:
    """An account with its token, calling the service."""

    def __init__(self, client: httpx.AsyncClient, user_id: UUID, token: str) -> None:
        self.client = client
        self.user_id = user_id
        self.token = token

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """One request with this person's token; `content` sends raw bytes instead of JSON."""
        response = await self.client.request(
            method,
            path,
            json=body,
            content=content,
            headers={"Authorization": f"Bearer {self.token}", **(headers or {})},
        )
        return Answer(
            response.status_code, response.headers, response.json() if response.content else None
        )

    async def good(self, method: str, path: str, body: object = None) -> Any:
        """The body of a call that must succeed."""
        answer = await self.call(method, path, body)
        assert answer.status < 300, answer.body
        return answer.body

    async def comes(self, task: Any) -> Any:
        """From around the corner to the door of a task, and says so."""
        place = task["location"]
        spot = {"lat": place["lat"] + 0.08 * MILE_LAT, "lng": place["lng"]}
        await self.good("PUT", "/v1/live/location", {"location": spot})
        return await self.good("POST", f"/v1/tasks/{task['id']}/arrived")


class People:
    """Makes accounts that are verified and able to work."""

    def __init__(self, client: httpx.AsyncClient, dev_accounts: DevAccounts) -> None:
        self.client = client
        self._dev_accounts = dev_accounts

    async def person(self, role: Role) -> Person:
        """A new account of this role."""
        made = await self._dev_accounts.person(role, "Ann", f"test-{uuid4()}")
        return Person(self.client, made.user_id, made.token)

    async def task(self, poster: Person, **changes: Any) -> Any:
        """A new LIVE task somewhere, unfunded."""
        lat, lng = somewhere()
        good = {
            "mode": "LIVE",
            "title": "Move a sofa",
            "description": "From the second floor to the street.",
            "category": "moving",
            "price_cents": 4_000,
            "location": {"lat": lat, "lng": lng, "address": "1 Main Street"},
        }
        return await poster.good("POST", "/v1/tasks", good | changes)

    async def funded(self, poster: Person, **changes: Any) -> Any:
        """A new funded task as its poster sees it."""
        task = await self.task(poster, **changes)
        await poster.good("POST", f"/v1/tasks/{task['id']}/fund", {})
        return await poster.good("GET", f"/v1/tasks/{task['id']}")

    async def live_near(self, task: Any, miles: float = 0.5) -> Person:
        """A hustler in LIVE mode so many miles north of a task."""
        hustler = await self.person("hustler")
        place = task["location"]
        spot = {"lat": place["lat"] + miles * MILE_LAT, "lng": place["lng"]}
        await hustler.good("POST", "/v1/live", {"location": spot})
        return hustler

    async def offered(self, task: Any, miles: float = 0.5) -> Person:
        """A hustler near a funded LIVE task who has its offer."""
        hustler = await self.live_near(task, miles)
        await offers_of(hustler, 1)
        return hustler

    async def accepted(self, **changes: Any) -> tuple[Person, Person, Any]:
        """Poster, hustler and a LIVE task that the hustler holds, as the poster sees it."""
        poster = await self.person("poster")
        task = await self.funded(poster, **changes)
        hustler = await self.offered(task, miles=0.1)
        await hustler.good("POST", f"/v1/tasks/{task['id']}/accept", {})
        return poster, hustler, await poster.good("GET", f"/v1/tasks/{task['id']}")

    async def arrived(self, **changes: Any) -> tuple[Person, Person, Any]:
        """The same, the hustler at the door."""
        poster, hustler, task = await self.accepted(**changes)
        await hustler.comes(task)
        return poster, hustler, task


async def offers_of(hustler: Person, count: int) -> list[Any]:
    """The hustler's open offers, once there are so many."""
    async with asyncio.timeout(5):
        while True:
            items: list[Any] = (await hustler.good("GET", "/v1/offers"))["items"]
            if len(items) >= count:
                return items
            await asyncio.sleep(0.05)
