from __future__ import annotations

import asyncio
from random import Random
from uuid import UUID

import pytest

from hustlexp_client import Gap, Nudge, Refused, Resync, SentAway, Session, Welcome
from tests.clients.network import Line, network

RNG = Random(1)


async def texts(session: Session, count: int) -> list[str]:
    """What the next durable events say, with gaps written as after..before."""
    said: list[str] = []
    async with asyncio.timeout(5):
        async for message in session:
            match message.body:
                case Nudge(text=text):
                    said.append(text)
                case Gap(after=after, before=before):
                    said.append(f"{after}..{before}")
                case Resync(reason=reason):
                    said.append(f"resync {reason}")
                case _:
                    continue
            if len(said) == count:
                return said
    raise AssertionError(said)


async def test_a_cut_connection_resumes_after_the_last_event_and_yields_each_once() -> None:
    """The second AUTH names the last seq; what the server repeats is dropped and counted."""
    resumed: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    async def first(line: Line) -> None:
        assert "last_seq" not in await line.hear_auth()
        await line.welcome(last_seq=4)
        await line.event(5)
        await line.event(6)
        line.cut()

    async def second(line: Line) -> None:
        resumed.set_result(await line.hear_auth())
        await line.event(6)
        await line.event(7)
        await line.welcome(last_seq=7)
        await line.stay()

    async with network(first, second) as url, Session(url, "token", rng=RNG) as session:
        assert await texts(session, 3) == ["5", "6", "7"]
        assert (await resumed)["last_seq"] == 6
        await session.ready()
        assert (session.counts.reconnects, session.counts.duplicates) == (1, 1)
        assert session.counts.gaps == 0


async def test_a_gap_is_told_before_the_event_that_reveals_it() -> None:
    """Nothing that is missing passes in silence."""

    async def script(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=1)
        await line.event(2)
        await line.event(5)
        await line.stay()

    async with network(script) as url, Session(url, "token") as session:
        assert await texts(session, 3) == ["2", "2..5", "5"]
        assert session.counts.gaps == 1


async def test_after_a_resync_the_welcome_gives_the_new_position() -> None:
    """Events after the new position count as contiguous, older ones as seen."""

    async def script(line: Line) -> None:
        await line.hear_auth()
        await line.say("RESYNC", {"reason": "TOO_OLD"})
        await line.welcome(last_seq=90)
        await line.event(90)
        await line.event(91)
        await line.stay()

    async with network(script) as url, Session(url, "token", last_seq=3) as session:
        assert await texts(session, 2) == ["resync TOO_OLD", "91"]
        assert (session.counts.gaps, session.counts.duplicates) == (0, 1)


async def test_a_command_without_an_answer_is_sent_again_after_the_reconnect() -> None:
    """The same id, so that whoever answers both is heard once."""
    asked: list[dict[str, object]] = []

    async def first(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=0)
        asked.append(await line.hear())
        line.cut()

    async def second(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=0)
        asked.append(request := await line.hear())
        answer = {"broadcast_id": str(UUID(int=5)), "outcome": "WON"}
        await line.say("BROADCAST_RESPONSE", answer, id=request["id"])
        await line.stay()

    async with network(first, second) as url, Session(url, "token", rng=RNG) as session:
        await session.ready()
        outcome = await session.respond(UUID(int=5), "ACCEPT")
        assert outcome.outcome == "WON"
        assert asked[0] == asked[1]


async def test_a_retryable_refusal_is_tried_again_and_a_final_one_raised() -> None:
    """`Refused` carries the code; the caller never reads texts."""

    async def script(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=0)
        for code, retryable in (("HX017", True), ("HX904", False)):
            request = await line.hear()
            problem = {"code": code, "message": "no", "retryable": retryable}
            await line.say("ERROR", problem, id=request["id"])
        await line.stay()

    async with network(script) as url, Session(url, "token", rng=RNG) as session:
        await session.ready()
        with pytest.raises(Refused) as refused:
            await session.go_live(45.0, -120.0)
        assert refused.value.code == "HX904"


async def test_a_live_hustler_takes_its_position_along_over_a_reconnect() -> None:
    """Presence belongs to a socket: the new one must become the source of positions."""
    again: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()

    async def first(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=0)
        request = await line.hear()
        await line.say("LIVE_MODE_STATE_CHANGE", {"state": "ACTIVE"}, id=request["id"])
        await line.hear()
        line.cut()

    async def second(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=0, live={"state": "ACTIVE"})
        again.set_result(await line.hear())
        await line.stay()

    async with network(first, second) as url, Session(url, "token", rng=RNG) as session:
        await session.ready()
        await session.go_live(45.0, -120.0)
        await session.move(45.1, -120.1)
        async with asyncio.timeout(5):
            message = await again
        assert message["type"] == "SUBSCRIBE_LIVE_MODE"
        data = message["data"]
        assert isinstance(data, dict)
        assert data["location"] == {"lat": 45.1, "lng": -120.1}


async def test_an_unanswered_heartbeat_ends_the_connection_and_the_session_comes_back() -> None:
    """A silent line is a dead line."""
    heartbeats: list[str] = []

    async def deaf(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=0, heartbeat_s=1)
        heartbeats.append((await line.hear())["type"])
        await line.stay()

    async def well(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=0, heartbeat_s=1)
        for _ in range(2):
            heartbeats.append((await line.hear())["type"])
            await line.say("PONG", {"timestamp": "2026-01-01T00:00:00Z", "last_seq": 0})
        await line.event(1)
        await line.stay()

    async with network(deaf, well) as url, Session(url, "token", rng=RNG) as session:
        assert await texts(session, 1) == ["1"]
        assert heartbeats == ["PING"] * 3
        assert session.counts.reconnects == 1
        assert len(session.counts.round_trips_s) == 2


async def test_a_close_of_the_4100s_fetches_a_fresh_token_and_one_of_the_4300s_ends() -> None:
    """The range of the code is the whole rule."""
    tokens = iter(["old", "fresh"])

    async def expired(line: Line) -> None:
        assert (await line.hear_auth())["token"] == "old"
        await line.close(4103)

    async def unwanted(line: Line) -> None:
        assert (await line.hear_auth())["token"] == "fresh"
        await line.close(4301)

    async def token() -> str:
        return next(tokens)

    async with network(expired, unwanted) as url, Session(url, token, rng=RNG) as session:
        with pytest.raises(SentAway) as sent_away:
            await session.ready(5)
        assert sent_away.value.code == 4301
        with pytest.raises(SentAway):
            await session.request("SUBSCRIBE_TASK", {"task_id": str(UUID(int=1))})


async def test_every_connect_tells_what_the_user_holds() -> None:
    """WELCOME is a message like others: callers take open offers and tasks from it."""

    async def script(line: Line) -> None:
        await line.hear_auth()
        await line.welcome(last_seq=12)
        await line.stay()

    async with network(script) as url, Session(url, "token") as session:
        async for message in session:
            assert isinstance(message.body, Welcome)
            assert message.body.last_seq == session.last_seq == 12
            break
