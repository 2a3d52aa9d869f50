"""Cards, events and long polls, through the real broadcaster and accept."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest

from engine.kernel.applied import ClosedBroadcast
from engine.kernel.ids import UserId
from engine.live.views import OfferCard
from gateway.contract import limits
from tests.support.service import (
    Client,
    Message,
    Service,
    User,
    joined,
    live,
    near,
    open_client,
    somewhere,
)


async def respond(client: Client, card: Message, response: str = "ACCEPT", **more: Any) -> Message:
    """Answers a card."""
    return await client.ask(
        "RESPOND_TO_BROADCAST",
        {"broadcast_id": card["data"]["broadcast_id"], "response": response, **more},
    )


async def sent_at(service: Service, card: Message, user: User) -> object:
    """When the database heard that the card reached a screen."""
    return await service.owner.fetchval(
        "select sent_at from offers where broadcast_id = $1 and hustler_id = $2",
        UUID(card["data"]["broadcast_id"]),
        user.user_id,
    )


async def test_a_broadcast_from_card_to_payment(service: Service) -> None:
    """The whole chain over sockets: card, accept, position, arrival, work, proof, payment."""
    poster, winner, loser = (
        await service.user("poster"),
        await service.user(),
        await service.user(),
    )
    place = somewhere()
    async with AsyncExitStack() as stack:
        posting = await stack.enter_async_context(joined(service, poster))
        winning = await stack.enter_async_context(live(service, winner, near(place)))
        losing = await stack.enter_async_context(live(service, loser, near(place, 1.0)))
        task = await service.funded(poster, place)
        about = {"task_id": task["id"]}
        card = await winning.hear_until("LIVE_TASK_BROADCAST")
        await losing.hear_until("LIVE_TASK_BROADCAST")

        won = await respond(winning, card)
        assert won["data"]["outcome"] == "WON"
        assert won["data"]["task"]["location"]["lat"] == place["lat"]
        gone = await losing.hear_until("LIVE_TASK_UNAVAILABLE")
        assert gone["data"]["reason"] == "CLAIMED"
        assert (await respond(losing, card))["data"] == {
            "broadcast_id": card["data"]["broadcast_id"],
            "outcome": "TAKEN",
        }
        assert (await respond(winning, card))["data"]["outcome"] == "WON"
        assert "LIVE_TASK_UNAVAILABLE" not in winning.types()
        assigned = await posting.hear_until("JOB_ASSIGNED", **about)
        assert assigned["data"]["hustler_id"] == str(winner.user_id)

        await winning.say("UPDATE_LOCATION", {"location": near(place, 0.49)})
        seen = await posting.hear_until("HUSTLER_LOCATION", **about)
        assert seen["data"]["eta_minutes"] == 2
        await winning.say("UPDATE_LOCATION", {"location": near(place, 0.48)})
        await posting.find("HUSTLER_LOCATION", location=near(place, 0.48))

        code = assigned["data"]["start_code"]
        await service.rest(winner, "POST", f"/v1/tasks/{task['id']}/start", {"code": code})
        await posting.hear_until("JOB_STARTED", **about)
        shown = await service.rest(poster, "GET", f"/v1/tasks/{task['id']}")
        await service.rest(
            winner, "POST", f"/v1/tasks/{task['id']}/proofs", {"code": shown["completion_code"]}
        )
        await posting.hear_until("JOB_COMPLETED", **about)
        await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/approve", {})
        await posting.hear_until("PAYMENT_CAPTURED", **about)
        await winning.hear_until("PAYMENT_CAPTURED", **about)
        for client in (posting, winning):
            seqs = [m["seq"] for m in client.heard if "seq" in m]
            assert seqs == list(range(1, len(seqs) + 1))


async def test_all_who_accept_together_get_a_definite_answer(service: Service) -> None:
    """One winner; everybody else hears TAKEN and loses the card."""
    poster, place = await service.user("poster"), somewhere()
    async with AsyncExitStack() as stack:
        hustlers = [
            await stack.enter_async_context(live(service, await service.user(), near(place)))
            for _ in range(8)
        ]
        await service.funded(poster, place)
        cards = [await hustler.hear_until("LIVE_TASK_BROADCAST") for hustler in hustlers]
        answers = await asyncio.gather(
            *(respond(hustler, card) for hustler, card in zip(hustlers, cards, strict=True))
        )
        outcomes = sorted(answer["data"]["outcome"] for answer in answers)
        assert outcomes == ["TAKEN"] * 7 + ["WON"]
        for hustler, answer in zip(hustlers, answers, strict=True):
            if answer["data"]["outcome"] == "TAKEN":
                await hustler.find("LIVE_TASK_UNAVAILABLE", reason="CLAIMED")
            else:
                assert "LIVE_TASK_UNAVAILABLE" not in hustler.types()


async def test_two_phones_of_one_hustler_stay_consistent(service: Service) -> None:
    """Both show the card; a decline on one takes it off the other; both hear durable events."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with live(service, hustler, near(place)) as first, joined(service, hustler) as second:
        await service.funded(poster, place)
        card = await first.hear_until("LIVE_TASK_BROADCAST")
        await second.hear_until("LIVE_TASK_BROADCAST")
        assert (await respond(first, card, "DECLINE"))["data"]["outcome"] == "DECLINED"
        gone = await second.hear_until("LIVE_TASK_UNAVAILABLE")
        assert gone["data"]["reason"] == "WITHDRAWN"

        task = await service.funded(poster, place)
        card = await first.hear_until("LIVE_TASK_BROADCAST")
        await second.hear_until("LIVE_TASK_BROADCAST")
        await respond(first, card)
        await second.find("LIVE_TASK_UNAVAILABLE", task_id=task["id"], reason="CLAIMED")
        await second.find("JOB_ASSIGNED", task_id=task["id"])
        await first.nothing_but("JOB_ASSIGNED", "TASK_STATUS_UPDATE", for_s=0.1)
        assert first.types().count("LIVE_TASK_UNAVAILABLE") == 0


async def test_a_second_phone_learns_of_live_mode(service: Service) -> None:
    """Switched on and off on one, told to both; only the asking one gets the id."""
    hustler = await service.user()
    async with joined(service, hustler) as second, live(service, hustler, somewhere()) as first:
        received = await second.hear_until("LIVE_MODE_STATE_CHANGE")
        assert (received["data"]["state"], "id" in received) == ("ACTIVE", False)
        off = await first.ask("UNSUBSCRIBE_LIVE_MODE")
        assert off["data"]["state"] == "OFF"
        assert (await second.hear_until("LIVE_MODE_STATE_CHANGE"))["data"]["state"] == "OFF"


async def test_cards_in_welcome_are_not_shown_again_and_count_as_sent(service: Service) -> None:
    """A reconnecting hustler finds the card in WELCOME only."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with live(service, hustler, near(place)) as first:
        await service.funded(poster, place)
        card = await first.hear_until("LIVE_TASK_BROADCAST")
        async with asyncio.timeout(3.0):
            while await sent_at(service, card, hustler) is None:  # noqa: ASYNC110 - of the database
                await asyncio.sleep(0.02)
    await service.owner.execute(
        "update offers set sent_at = null where hustler_id = $1", hustler.user_id
    )
    async with open_client(service) as client:
        welcome = await client.auth(hustler)
        assert [o["broadcast_id"] for o in welcome["offers"]] == [card["data"]["broadcast_id"]]
        await client.nothing_but(for_s=0.4)
        assert await sent_at(service, card, hustler) is not None


async def test_a_busy_hustler_loses_the_other_cards_and_gets_them_back(service: Service) -> None:
    """WITHDRAWN on accept; shown again when the hustler is free and the broadcast still runs."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with live(service, hustler, near(place)) as client:
        tasks = [await service.funded(poster, place) for _ in range(2)]
        cards = [await client.hear_until("LIVE_TASK_BROADCAST") for _ in tasks]
        await respond(client, cards[0])
        lost = cards[1]["data"]["broadcast_id"]
        await client.find("LIVE_TASK_UNAVAILABLE", broadcast_id=lost, reason="WITHDRAWN")
        won = cards[0]["data"]["task"]["id"]
        await service.rest(hustler, "POST", f"/v1/tasks/{won}/release", {})
        again = await client.hear_until("LIVE_TASK_BROADCAST")
        assert again["data"] == cards[1]["data"]


async def test_a_card_that_comes_after_its_end_is_dropped(service: Service) -> None:
    """CLOSED overtook the card: nothing is shown, for a quarter of an hour."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    other = await service.user()
    async with live(service, hustler, near(place)) as client, joined(service, other) as late:
        await service.funded(poster, place)
        card = await client.hear_until("LIVE_TASK_BROADCAST")
        offer = _offer(card)
        closed = ClosedBroadcast(offer.broadcast_id, offer.task.id, "CLAIMED")
        service.parts.hub.cards.closed(closed)
        assert (await client.hear_until("LIVE_TASK_UNAVAILABLE"))["data"]["reason"] == "CLAIMED"
        service.parts.hub.cards.cards(
            [(UserId(other.user_id), offer), (UserId(hustler.user_id), offer)]
        )
        await late.nothing_but(for_s=0.1)
        await client.nothing_but(for_s=0.1)


async def test_a_large_fan_out_is_sliced(service: Service) -> None:
    """More cards than a slice: all arrive, each once."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with live(service, hustler, near(place)) as client:
        await service.funded(poster, place)
        card = await client.hear_until("LIVE_TASK_BROADCAST")
        unauthenticated = UserId(UUID(int=1))
        offer = _offer(card)
        last = OfferCard(UUID(int=2), offer.task, 0.5, offer.expires_at, offer.poster)
        many = [(unauthenticated, offer)] * 1_000
        service.parts.hub.cards.cards([*many, (UserId(hustler.user_id), last)])
        again = await client.hear_until("LIVE_TASK_BROADCAST")
        assert again["data"]["broadcast_id"] == str(UUID(int=2))


async def test_a_long_poll_wakes_for_the_first_event(service: Service) -> None:
    """Without a socket: at once, not at the end of the wait."""
    poster = await service.user("poster")
    task = await service.live_task(poster, somewhere())
    polling = asyncio.create_task(service.rest(poster, "GET", "/v1/events?after=0&wait=20"))
    await asyncio.sleep(0.1)
    await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/cancel", {})
    answer = await asyncio.wait_for(polling, 3.0)
    assert answer["events"][0]["seq"] == 1


async def test_a_long_poll_wakes_for_an_offer_and_for_its_end(service: Service) -> None:
    """A caller whose sockets are blocked can do the job: the offer arrives, and leaves."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    await service.rest(hustler, "POST", "/v1/live", {"location": near(place)})
    polling = asyncio.create_task(service.rest(hustler, "GET", "/v1/events?after=0&wait=20"))
    await asyncio.sleep(0.1)
    task = await service.funded(poster, place)
    answer = await asyncio.wait_for(polling, 3.0)
    assert [offer["task"]["id"] for offer in answer["offers"]] == [task["id"]]
    polling = asyncio.create_task(service.rest(hustler, "GET", "/v1/events?after=0&wait=20"))
    await asyncio.sleep(0.1)
    await service.rest(poster, "POST", f"/v1/tasks/{task['id']}/cancel", {})
    answer = await asyncio.wait_for(polling, 3.0)
    assert answer["offers"] == []


async def test_an_offer_between_two_polls_ends_the_next_one(service: Service) -> None:
    """Nothing falls between two polls."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    await service.rest(hustler, "POST", "/v1/live", {"location": near(place)})
    await service.rest(hustler, "GET", "/v1/events?after=0&wait=0.05")
    task = await service.funded(poster, place)
    await asyncio.sleep(0.2)
    answer = await asyncio.wait_for(service.rest(hustler, "GET", "/v1/events?after=0&wait=20"), 3.0)
    assert [offer["task"]["id"] for offer in answer["offers"]] == [task["id"]]


async def test_a_poll_whose_caller_hung_up_takes_no_offer_away(service: Service) -> None:
    """The next poll has it at once; and one that ends without news tells the open offers too."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    await service.rest(hustler, "POST", "/v1/live", {"location": near(place)})
    headers = {"Authorization": f"Bearer {hustler.token}"}
    async with httpx.AsyncClient(base_url=service.url) as hanging_up:
        with pytest.raises(httpx.ReadTimeout):
            await hanging_up.get("/v1/events?after=0&wait=20", headers=headers, timeout=0.2)
    async with asyncio.timeout(3.0):
        while service.parts.hub.polls.open:  # noqa: ASYNC110 - it is noticed now and then
            await asyncio.sleep(0.01)
    task = await service.funded(poster, place)
    answer = await asyncio.wait_for(service.rest(hustler, "GET", "/v1/events?after=0&wait=20"), 3.0)
    assert [offer["task"]["id"] for offer in answer["offers"]] == [task["id"]]
    answer = await service.rest(hustler, "GET", "/v1/events?after=0&wait=0.05")
    assert [offer["task"]["id"] for offer in answer["offers"]] == [task["id"]]


async def test_withdrawn_cards_are_forgotten_when_they_end(service: Service) -> None:
    """Or with the socket: neither screen nor hub keeps a broadcast that nobody can show again."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    hub = service.parts.hub
    async with live(service, hustler, near(place)) as client:
        tasks = [await service.funded(poster, place) for _ in range(3)]
        cards = [await client.hear_until("LIVE_TASK_BROADCAST") for _ in tasks]
        await respond(client, cards[0])
        for card in cards[1:]:
            about = {"broadcast_id": card["data"]["broadcast_id"], "reason": "WITHDRAWN"}
            await client.find("LIVE_TASK_UNAVAILABLE", **about)
        (connection,) = hub.registry.sockets(hustler.user_id)
        ends, runs = [UUID(card["data"]["broadcast_id"]) for card in cards[1:]]
        assert set(connection.session.cards.broadcasts()) == {ends, runs}
        cancelled = cards[1]["data"]["task"]["id"]
        await service.rest(poster, "POST", f"/v1/tasks/{cancelled}/cancel", {})
        assert connection.session.cards.broadcasts() == [runs]
        assert ends not in hub.cards._shown
        assert runs in hub.cards._shown
        assert client.types().count("LIVE_TASK_UNAVAILABLE") == 2
    async with asyncio.timeout(3.0):
        while runs in hub.cards._shown:  # noqa: ASYNC110 - the socket is closing
            await asyncio.sleep(0.01)


async def test_long_polls_are_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than the process bears is refused with 503; the one that waits is answered."""
    monkeypatch.setattr(limits, "MAX_POLLS", 1)
    first, second = await service.user(), await service.user()
    path = "/v1/events?after=0&wait=0.2"
    polling = asyncio.create_task(service.rest(first, "GET", path))
    async with asyncio.timeout(3.0):
        while not service.parts.hub.polls.open:  # noqa: ASYNC110 - the call is on its way
            await asyncio.sleep(0.005)
    headers = {"Authorization": f"Bearer {second.token}"}
    refused = await service.http.get(path, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
    assert (await polling)["events"] == []
    assert (await service.rest(second, "GET", path))["events"] == []


def _offer(card: Message) -> OfferCard:
    return msgspec.convert(card["data"], OfferCard)


async def shift_ends_in(service: Service, user: User, at: str, seconds: float) -> None:
    """Moves a hustler's shift so that its border at 4 or 4.5 hours comes so soon."""
    async with service.owner.transaction():
        await service.owner.execute("alter table live_status disable trigger user")
        due = await service.owner.fetchval(
            "update live_status set shift_since = hx_clock() + make_interval(secs => $3)"
            " - $2::text::interval where user_id = $1 returning shift_since + $2::text::interval",
            user.user_id,
            at,
            seconds,
        )
        await service.owner.execute("alter table live_status enable trigger user")
        await service.owner.execute("select hx_timer('LIVE_STATE', $1, $2)", user.user_id, due)


async def test_a_rest_takes_the_cards_away_and_its_end_brings_them_back(service: Service) -> None:
    """Told by time alone; a socket that came during the rest, and never showed them, does then."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    async with live(service, hustler, near(place)) as client:
        await service.funded(poster, place)
        card = (await client.hear_until("LIVE_TASK_BROADCAST"))["data"]["broadcast_id"]
        await shift_ends_in(service, hustler, "4 hours", 0.2)
        rest = await client.hear_until("LIVE_MODE_STATE_CHANGE", state="COOLDOWN")
        assert (rest["data"]["reason"], "seq" in rest) == ("FATIGUE", True)
        assert datetime.fromisoformat(rest["data"]["ends_at"]) > datetime.now(UTC)
        await client.find("LIVE_TASK_UNAVAILABLE", broadcast_id=card, reason="WITHDRAWN")
        assert (await service.rest(hustler, "GET", "/v1/offers"))["items"] == []
        await shift_ends_in(service, hustler, "4 hours 30 minutes", 0.2)
        await client.hear_until("LIVE_MODE_STATE_CHANGE", state="ACTIVE")
        await client.hear_until("LIVE_TASK_BROADCAST", broadcast_id=card)
        await shift_ends_in(service, hustler, "4 hours", 0.2)
        await client.hear_until("LIVE_TASK_UNAVAILABLE", reason="WITHDRAWN")
    async with joined(service, hustler) as other:
        await shift_ends_in(service, hustler, "4 hours 30 minutes", 0.2)
        await other.hear_until("LIVE_MODE_STATE_CHANGE", state="ACTIVE")
        await other.hear_until("LIVE_TASK_BROADCAST", broadcast_id=card)


@pytest.mark.parametrize("statement", ["live_ban", "end_live"])
async def test_cards_go_whoever_changed_the_live_state(service: Service, statement: str) -> None:
    """Another process, or psql: heard of by the log, the cards leave the screen."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    admin = await service.user("admin")
    async with live(service, hustler, near(place)) as client:
        await service.funded(poster, place)
        card = (await client.hear_until("LIVE_TASK_BROADCAST"))["data"]["broadcast_id"]
        if statement == "end_live":
            await service.owner.execute("select end_live($1, 'OFFLINE')", hustler.user_id)
        else:
            await service.owner.execute(
                "select live_ban($1, $2, hx_clock() + interval '1 day', 'Seen.')",
                admin.user_id,
                hustler.user_id,
            )
        await client.hear_until("LIVE_MODE_STATE_CHANGE", state="OFF")
        await client.find("LIVE_TASK_UNAVAILABLE", broadcast_id=card, reason="WITHDRAWN")


async def test_who_starts_to_work_keeps_no_card(service: Service) -> None:
    """WORKING on a STANDARD task is busy: what cannot be accepted leaves the screen."""
    poster, hustler, place = await service.user("poster"), await service.user(), somewhere()
    standard = await service.live_task(poster, place, mode="STANDARD")
    await service.rest(poster, "POST", f"/v1/tasks/{standard['id']}/fund", {})
    async with live(service, hustler, near(place)) as client:
        await service.rest(hustler, "POST", f"/v1/tasks/{standard['id']}/accept", {})
        await service.funded(poster, place)
        card = (await client.hear_until("LIVE_TASK_BROADCAST"))["data"]["broadcast_id"]
        task = await service.rest(poster, "GET", f"/v1/tasks/{standard['id']}")
        path = f"/v1/tasks/{standard['id']}/start"
        await service.rest(hustler, "POST", path, {"code": task["start_code"]})
        await client.find("LIVE_TASK_UNAVAILABLE", broadcast_id=card, reason="WITHDRAWN")
