"""Both sides of a task as they live: commands over REST, all news by socket or by long poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import msgspec

from engine.kernel.applied import Applied
from gateway.identity.auth import Role
from tests.e2e.purse import Purses
from tests.support.service import WITHIN_S, Client, Message, Service, User, joined, near, somewhere

Hears = Literal["SOCKET", "POLL"]
Reach = Callable[..., Awaitable[str]]
"""Leads a task of a poster and a hustler up to a state."""


AROUND_THE_CORNER_MILES = 0.1
AT_THE_DOOR_MILES = 0.08
"""161 m from a task, and 129 m: a believable step from the one to the other is an arrival."""


class Answer(NamedTuple):
    """What a call came back with."""

    status: int
    body: Any

    @property
    def type(self) -> str:
        """The problem type, without its prefix."""
        kind: str = self.body["type"]
        return kind.removeprefix("/errors/")


class Person:
    """A user who calls, and keeps every durable event in the order of its number."""

    def __init__(self, service: Service, user: User) -> None:
        self.service = service
        self.id = user.user_id
        self.user = user
        self.received: list[Message] = []
        self._read = 0

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        """One call; its status and JSON."""
        headers = {"Authorization": f"Bearer {self.user.token}"}
        answer = await self.service.http.request(method, path, json=body, headers=headers)
        return Answer(answer.status_code, answer.json() if answer.content else None)

    async def good(self, method: str, path: str, body: object = None) -> Any:
        """The body of a call that succeeds."""
        answer = await self.call(method, path, body)
        assert answer.status < 300, answer
        return answer.body

    async def refused(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Status and problem type of a call that is refused."""
        answer = await self.call(method, path, body)
        assert answer.status >= 400, answer
        return answer.status, answer.type

    async def task(self, task: str) -> Any:
        """The task as this person sees it."""
        return await self.good("GET", f"/v1/tasks/{task}")

    async def does(self, task: str, step: str, body: object = None) -> Any:
        """A step on a task that succeeds."""
        return await self.good("POST", f"/v1/tasks/{task}/{step}", {} if body is None else body)

    async def cannot(self, task: str, step: str, body: object = None) -> tuple[int, str]:
        """A step on a task that is refused: status and problem type."""
        path = f"/v1/tasks/{task}/{step}"
        return await self.refused("POST", path, {} if body is None else body)

    async def uploads(self, photo: bytes) -> str:
        """The id of a photo that was taken in."""
        headers = {"Authorization": f"Bearer {self.user.token}"}
        answer = await self.service.http.post("/v1/uploads", files={"file": photo}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def looks_at(self, photo: str) -> str:
        """A photo's media type, once its content came."""
        headers = {"Authorization": f"Bearer {self.user.token}"}
        answer = await self.service.http.get(f"/v1/photos/{photo}", headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.content
        return answer.headers["content-type"]

    async def moves_to(self, place: dict[str, float]) -> None:
        """A new position."""
        await self.good("PUT", "/v1/live/location", {"location": place})

    async def comes(self, task: str) -> Any:
        """Arrives at a task: the position shows it, and saying so changes nothing more."""
        await self.moves_to(near((await self.task(task))["location"], AT_THE_DOOR_MILES))
        async with asyncio.timeout(WITHIN_S):
            while (await self.task(task))["arrived_at"] is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return await self.does(task, "arrived")

    # News

    async def more(self) -> None:
        """Waits for the next durable events and keeps them."""
        page = await self.good("GET", f"/v1/events?after={len(self.received)}&wait={WITHIN_S}")
        self.keep(page["events"])

    async def catch_up(self) -> None:
        """Reads what is there, and forgets it: only what comes from now on is heard."""
        page = await self.good("GET", f"/v1/events?after={len(self.received)}")
        self.keep(page["events"])
        self._read = len(self.received)

    def keep(self, events: list[Message]) -> None:
        """Events come in order and without a gap, from the first."""
        for event in events:
            assert event["seq"] == len(self.received) + 1, (event, self.labels())
            self.received.append(event)

    async def hears(self, event_type: str, **about: Any) -> Any:
        """The data of the next event of this type with these values."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                while self._read < len(self.received):
                    event = self.received[self._read]
                    self._read += 1
                    if event["type"] == event_type and about.items() <= event["data"].items():
                        return event["data"]
                await self.more()

    def labels(self, task: str | None = None) -> list[str]:
        """What was told, each as its type and the one word that matters."""
        return [
            label(event) for event in self.received if task in (None, event["data"].get("task_id"))
        ]

    # LIVE

    async def live_at(self, place: dict[str, float]) -> None:
        """Goes LIVE there."""
        await self.good("POST", "/v1/live", {"location": place})

    async def card(self, task: str) -> Message:
        """The open offer of a task, once it is there."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for card in (await self.good("GET", "/v1/offers"))["items"]:
                    if card["task"]["id"] == task:
                        return dict(card)
                await asyncio.sleep(0.03)

    async def answers(self, card: Message, response: str) -> Any:
        """The outcome of an answer to a card."""
        path = f"/v1/offers/{card['broadcast_id']}/response"
        return (await self.good("POST", path, {"response": response}))["outcome"]

    async def takes(self, task: Any) -> None:
        """Accepts the task: a LIVE one by its card."""
        if task["mode"] == "LIVE":
            assert await self.answers(await self.card(task["id"]), "ACCEPT") == "WON"
        else:
            await self.does(task["id"], "accept", {"version": task["version"]})


class Listener(Person):
    """A person with a socket: every event and every card comes by it."""

    def __init__(self, service: Service, user: User, client: Client) -> None:
        super().__init__(service, user)
        self.client = client

    async def more(self) -> None:
        """Reads one message; answers and what is fleeting are not kept."""
        self._took(await self.client.hear())

    def _took(self, message: Message) -> None:
        if "seq" in message:
            self.keep([message])

    async def _ask(self, kind: str, data: object) -> Message:
        first = len(self.client.heard)
        answer = await self.client.ask(kind, data)
        for message in self.client.heard[first:]:
            self._took(message)
        return answer

    async def live_at(self, place: dict[str, float]) -> None:
        """Goes LIVE there by the socket."""
        answer = await self._ask("SUBSCRIBE_LIVE_MODE", {"location": place})
        assert answer["data"]["state"] == "ACTIVE", answer

    async def moves_to(self, place: dict[str, float]) -> None:
        """A new position by the socket."""
        await self.client.say("UPDATE_LOCATION", {"location": place})
        await self._ask("PING", None)

    async def card(self, task: str) -> Message:
        """The card, once it was shown."""
        shown = 0
        while True:
            while shown < len(self.client.heard):
                message = self.client.heard[shown]
                shown += 1
                if (
                    message["type"] == "LIVE_TASK_BROADCAST"
                    and message["data"]["task"]["id"] == task
                ):
                    return dict(message["data"])
            await self.more()

    async def answers(self, card: Message, response: str) -> Any:
        """The outcome of an answer by the socket."""
        data = {"broadcast_id": card["broadcast_id"], "response": response}
        return (await self._ask("RESPOND_TO_BROADCAST", data))["data"]["outcome"]


def label(event: Message) -> str:
    """An event as its type and the one word that matters."""
    data = event["data"]
    words = (data.get(name) for name in ("kind", "state", "reason", "badge_type"))
    word = next(filter(None, words), "")
    if event["type"] == "PROOF_REJECTED":
        word = str(data["rejections_left"])
    return f"{event['type']} {word}".strip()


class Chain:
    """A running service, its people and their money."""

    def __init__(self, service: Service, purses: Purses) -> None:
        self.service = service
        self.purses = purses

    async def person(self, role: Role) -> Person:
        """Somebody new who polls."""
        return Person(self.service, await self.service.user(role))

    @asynccontextmanager
    async def sides(self, hears: Hears) -> AsyncIterator[tuple[Person, Person]]:
        """A poster and a hustler who learn everything by socket, or by long poll."""
        async with AsyncExitStack() as stack:
            sides = []
            for role in ("poster", "hustler"):
                user = await self.service.user(role)
                if hears == "POLL":
                    sides.append(Person(self.service, user))
                    continue
                client = await stack.enter_async_context(joined(self.service, user))
                sides.append(Listener(self.service, user, client))
            yield sides[0], sides[1]

    async def pair(self) -> tuple[Person, Person]:
        """A poster and a hustler who poll."""
        return await self.person("poster"), await self.person("hustler")

    async def posted(self, poster: Person, mode: str = "STANDARD", **fields: Any) -> Any:
        """A task that is not funded."""
        draft = {
            "mode": mode,
            "title": "Hang a door",
            "description": "It came off.",
            "category": "handyman",
            "price_cents": 4_001,
            "location": somewhere(),
        }
        return await poster.good("POST", "/v1/tasks", draft | fields)

    async def funded(self, poster: Person, mode: str = "STANDARD", **fields: Any) -> Any:
        """A funded task; a LIVE one is being broadcast."""
        task = await self.posted(poster, mode, **fields)
        await poster.does(task["id"], "fund")
        return task

    async def accepted(
        self, poster: Person, hustler: Person, mode: str = "STANDARD", **fields: Any
    ) -> str:
        """A task that the hustler holds."""
        task = await self.posted(poster, mode, **fields)
        if mode == "LIVE":
            await hustler.live_at(near(task["location"], AROUND_THE_CORNER_MILES))
        await poster.does(task["id"], "fund")
        await hustler.takes(task)
        return str(task["id"])

    async def started(
        self, poster: Person, hustler: Person, mode: str = "STANDARD", **fields: Any
    ) -> str:
        """A task that the hustler works on."""
        task = await self.accepted(poster, hustler, mode, **fields)
        await hustler.does(task, "start", {"code": (await poster.task(task))["start_code"]})
        return task

    async def handed_in(
        self, poster: Person, hustler: Person, mode: str = "STANDARD", **fields: Any
    ) -> str:
        """A task whose proof waits for its poster."""
        task = await self.started(poster, hustler, mode, **fields)
        await self.hands_in(poster, hustler, task)
        return task

    async def hands_in(self, poster: Person, hustler: Person, task: str) -> Any:
        """The hustler types the completion code, told at the door."""
        code = (await poster.task(task))["completion_code"]
        return await hustler.does(task, "proofs", {"code": code})

    async def history(self, reader: Person, task: str) -> list[tuple[Any, ...]]:
        """(from, to, who, why) of every step."""
        steps = (await reader.good("GET", f"/v1/tasks/{task}/history"))["items"]
        return [(s["from"], s["to"], s["actor_id"], s["reason"]) for s in steps]

    async def sql(self, statement: str, *args: object) -> Any:
        """One value as the owner: for what no call does, and for the clock."""
        return await self.service.owner.fetchval(statement, *args)

    async def command(self, statement: str, *args: object) -> None:
        """A command that has no call here, with its effects."""
        answer = await self.sql(statement, *args)
        self.service.parts.hub.applied(msgspec.json.decode(answer, type=Applied))

    async def advance(self, interval: str) -> None:
        """Moves the clock of a database of one's own."""
        await self.sql(
            "insert into clock_offset (amount) values ($1::text::interval) on conflict (singleton)"
            " do update set amount = clock_offset.amount + excluded.amount",
            interval,
        )

    async def now(self) -> datetime:
        """The time of the service."""
        at: datetime = await self.sql("select hx_clock()")
        return at

    async def due(self, kind: str, subject: str) -> None:
        """The time of a timer has come."""
        await self.sql(
            "update timers set due_at = hx_clock() where kind = $1 and subject = $2 returning kind",
            kind,
            UUID(subject),
        )

    async def settled(self, balances: dict[Person, int]) -> None:
        """Everybody has so many cents more than at first, once the money has moved."""
        wanted = {person.id: cents for person, cents in balances.items()}

        def now() -> dict[UUID, int]:
            return {user: self.purses.of(user) for user in wanted}

        for _ in range(200):
            if now() == wanted:
                break
            await asyncio.sleep(0.025)
        assert now() == wanted


__all__ = ["Answer", "Chain", "Hears", "Listener", "Message", "Person", "label", "near"]
