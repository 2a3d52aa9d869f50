"""The first wave rides in the transaction that starts a broadcast, and can stop none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from broadcast.wave_store import Wave
from engine.kernel.applied import Applied, StartedBroadcast
from engine.live.views import OfferCard
from tests.engine.money.raw_commands import PLAN, ask, provider_event
from tests.engine.money.setup import Case, Ledger, Setup, casts, people


@pytest.fixture
async def app(database_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection as the application."""
    connection = await asyncpg.connect(database_dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def owner(owner_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection as the owner."""
    connection = await asyncpg.connect(owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture
def setup(app: asyncpg.Connection) -> Setup:
    """Tasks at any point of their life."""
    return Setup(app, Ledger())


def wave_of(
    candidates: Sequence[UUID], *, open_max: int = 10, version: int = 1, **more: Any
) -> str:
    """Candidates of a first wave, a mile away each, the first one best."""
    wave = {
        "version": version,
        "open_offers_max": open_max,
        "hustlers": candidates,
        "exact_miles": [1.0] * len(candidates),
        "place_miles": [1.06] * len(candidates),
        "scores": [0.9 - 0.01 * n for n in range(len(candidates))],
    }
    return msgspec.json.encode(wave | more).decode()


async def active(app: asyncpg.Connection, owner: asyncpg.Connection, count: int) -> list[UUID]:
    """Hustlers with LIVE mode on."""
    hustlers = await people(owner, "hustler", count)
    for hustler in hustlers:
        (await ask(app, "go_live", hustler, None, None)).done()
    return hustlers


async def intended(setup: Setup, owner: asyncpg.Connection, **more: Any) -> Case:
    """A LIVE task whose escrow waits for its payment."""
    (cast,) = await casts(owner, 1)
    return await setup.bring(cast, "INTENDED", **more)


async def book(app: asyncpg.Connection, case: Case, wave: str | None) -> Applied:
    """The provider took the money."""
    return (await ask(app, "book_funding", case.escrow, f"pi_{case.escrow}", PLAN, wave)).done()


def started(applied: Applied) -> tuple[StartedBroadcast, Wave | None]:
    """The one broadcast that a command started, and its first wave."""
    (begun,) = applied.started
    return begun, msgspec.json.decode(begun.wave, type=Wave | None)


async def offered(owner: asyncpg.Connection, case: Case) -> set[UUID]:
    """Whom the task is offered to."""
    rows = await owner.fetch("select hustler_id from offers where task_id = $1", case.task)
    return {row["hustler_id"] for row in rows}


async def test_the_offers_ride_in_the_funding_and_its_answer_is_all_that_is_needed(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup
) -> None:
    """Best first, with the card they share; the poster's event counts them."""
    case = await intended(setup, owner)
    first, second = await active(app, owner, 2)
    applied = await book(app, case, wave_of([first, second]))
    begun, wave = started(applied)
    assert wave is not None
    assert [offer.hustler_id for offer in wave.offers] == [first, second]
    assert wave.offers[0].distance_miles == 1.1
    card = msgspec.json.decode(begun.params.card, type=OfferCard)
    assert card.broadcast_id == begun.params.id
    assert wave.refused == []
    assert await offered(owner, case) == {first, second}
    assert [event.data["hustlers_notified"] for event in applied.events] == [2]
    assert wave.at is not None
    assert wave.at >= begun.params.started_at
    assert begun.params.task_id == case.task
    assert begun.params.price_cents == 4_000


async def test_each_rule_of_a_wave_refuses_and_the_funding_stands(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup
) -> None:
    """Busy, full, inactive, outside the gate, the own task, unknown, too far for the hustler."""
    busy, full, inactive, rookie, nearby, choosy, welcome = await active(app, owner, 7)
    (other,) = await casts(owner, 1)
    other.hustler = busy
    await setup.bring(other, "ACCEPTED")
    await book(app, await intended(setup, owner), wave_of([full]))
    await ask(app, "end_live", inactive, "MANUAL")
    await owner.execute("update live_status set radius_miles = 1 where user_id = $1", nearby)
    await owner.execute("update live_status set categories = '{moving}' where user_id = $1", choosy)
    (cast,) = await casts(owner, 1)
    await owner.execute("update users set role = 'dual' where id = $1", cast.poster)
    (await ask(app, "go_live", cast.poster, None, None)).done()
    case = await setup.bring(cast, "INTENDED", required_trust_tier=2)
    await owner.execute("alter table users disable trigger user")
    await owner.execute("update users set trust_tier = 1 where id = $1", rookie)
    await owner.execute("alter table users enable trigger user")

    refused = {
        busy: "BUSY", full: "FULL", inactive: "NOT_ACTIVE", rookie: "NOT_ELIGIBLE",
        cast.poster: "NOT_ELIGIBLE", uuid4(): "NOT_ACTIVE", nearby: "OWN_RADIUS",
        choosy: "OWN_CATEGORIES",
    }  # fmt: skip
    candidates = [*refused, welcome]
    applied = await book(
        app, case, wave_of(candidates, open_max=1, exact_miles=[1.01] * len(candidates))
    )
    _, wave = started(applied)
    assert wave is not None
    assert {pair.hustler_id: pair.result for pair in wave.refused} == refused
    assert await offered(owner, case) == {welcome}
    assert await owner.fetchval("select state from escrows where id = $1", case.escrow) == "FUNDED"


@pytest.mark.parametrize("wave", [None, "null", wave_of([]), "[]", '"x"', "{}"])
async def test_without_candidates_nothing_else_changes(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup, wave: str | None
) -> None:
    """The broadcast starts, and its broadcaster looks for everybody."""
    case = await intended(setup, owner)
    applied = await book(app, case, wave)
    begun, made = started(applied)
    assert made is None
    assert begun.params.initial_radius_miles == 3.0
    assert [event.data["hustlers_notified"] for event in applied.events] == [0]


@pytest.mark.parametrize(
    "broken",
    [
        {"place_miles": [400.0]},
        {"place_miles": [-1.0]},
        {"scores": [1.5]},
        {"scores": [None]},
        {"scores": []},
        {"hustlers": ["nobody"]},
        {"hustlers": 7},
        {"open_offers_max": "many"},
        {"open_offers_max": None},
    ],
    ids=str,
)
async def test_a_wave_that_cannot_be_written_fails_no_funding(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup, broken: dict[str, Any]
) -> None:
    """Beyond the radius, out of range, or no candidates at all: none of it, and the money stands."""
    case = await intended(setup, owner)
    (hustler,) = await active(app, owner, 1)
    _, wave = started(await book(app, case, wave_of([hustler], **broken)))
    assert wave is None or not wave.offers
    assert await offered(owner, case) == set()
    assert await owner.fetchval("select state from escrows where id = $1", case.escrow) == "FUNDED"


async def test_candidates_of_other_terms_are_nobody(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup
) -> None:
    """The place may be edited while the provider is asked: who was near it may be far now."""
    case = await intended(setup, owner)
    (hustler,) = await active(app, owner, 1)
    (await ask(app, "edit_task", case.poster, case.task, '{"location_lat": 38.9}', 1)).done()
    _, wave = started(await book(app, case, wave_of([hustler], version=1)))
    assert wave is None
    assert await offered(owner, case) == set()


async def test_money_that_comes_too_late_starts_nothing(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup
) -> None:
    """The task is cancelled; the payment goes back, and nobody is offered anything."""
    case = await intended(setup, owner)
    (hustler,) = await active(app, owner, 1)
    (await ask(app, "cancel_task", case.poster, case.task, None)).done()
    applied = await book(app, case, wave_of([hustler]))
    assert applied.started == ()
    assert applied.settle
    assert await offered(owner, case) == set()


async def test_a_booking_that_is_repeated_makes_nothing_twice(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup
) -> None:
    """By the command or by the provider's event, with other candidates or the same."""
    case = await intended(setup, owner)
    first, second = await active(app, owner, 2)
    await book(app, case, wave_of([first]))
    again = await book(app, case, wave_of([first, second]))
    assert again.started == ()
    assert again.events == ()
    fact = {
        "kind": "PAYMENT_SUCCEEDED", "payment": f"pi_{case.escrow}", "escrow_id": str(case.escrow),
        "amount_cents": 4_000,
    }  # fmt: skip
    heard = (await provider_event(app, f"evt_{case.escrow}", fact)).done()
    assert heard.started == ()
    assert await offered(owner, case) == {first}


async def test_the_providers_event_carries_the_wave(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup
) -> None:
    """And says beforehand whose broadcast the payment would start, until it is paid."""
    case = await intended(setup, owner)
    (hustler,) = await active(app, owner, 1)
    lookup = "select task_of_payment($1, $2)"
    starting = msgspec.json.decode(await app.fetchval(lookup, case.escrow, "pi"))
    assert starting["task"]["task_id"] == str(case.task)
    assert starting["version"] == 1
    fact = {
        "kind": "PAYMENT_SUCCEEDED", "payment": "pi", "escrow_id": str(case.escrow),
        "amount_cents": 4_000,
    }  # fmt: skip
    applied = await ask(
        app, "book_provider_event", f"evt_{case.escrow}", "test",
        msgspec.json.encode(fact).decode(), PLAN, wave_of([hustler]),
    )  # fmt: skip
    started(applied.done())
    assert await offered(owner, case) == {hustler}
    assert await app.fetchval(lookup, case.escrow, "pi") is None


async def test_a_replacement_and_a_release_carry_the_wave(
    app: asyncpg.Connection, owner: asyncpg.Connection, setup: Setup
) -> None:
    """At the new price; and to others than the hustler who gives the work back."""
    (cast,) = await casts(owner, 1)
    case = await setup.bring(cast, "RAISED")
    (hustler,) = await active(app, owner, 1)
    begun = msgspec.json.decode(
        await app.fetchval("select begin_funding($1, $2)", case.poster, case.task)
    )
    assert begun["starting"]["task"]["price_cents"] == 4_500
    case.escrow = case.replacement
    params, wave = started(await book(app, case, wave_of([hustler])))
    assert params.params.price_cents == 4_500
    assert wave is not None
    card = msgspec.json.decode(params.params.card, type=OfferCard)
    assert card.task.price_cents == 4_500

    (other,) = await casts(owner, 1)
    given_up = await setup.bring(other, "ACCEPTED")
    released = await ask(
        app, "release_task", given_up.hustler, given_up.task, None, PLAN,
        wave_of([given_up.hustler, hustler]),
    )  # fmt: skip
    successor, wave = started(released.done())
    assert wave is not None
    assert successor.params.task_id != given_up.task
    assert [offer.hustler_id for offer in wave.offers] == [hustler]
    assert [pair.result for pair in wave.refused] == ["RELEASED"]


async def test_two_fundings_at_once_exceed_the_cap_by_one_each_at_most(
    database_dsn: str, owner: asyncpg.Connection, setup: Setup, app: asyncpg.Connection
) -> None:
    """Each sees the offers of the other once they are committed; nobody waits for anybody."""
    (hustler,) = await active(app, owner, 1)
    cases = [await intended(setup, owner) for _ in range(8)]
    connections = [await asyncpg.connect(database_dsn) for _ in range(2)]
    try:
        for pair in zip(cases[::2], cases[1::2], strict=True):
            await asyncio.gather(
                *(
                    book(connection, case, wave_of([hustler], open_max=3))
                    for connection, case in zip(connections, pair, strict=True)
                )
            )
    finally:
        for connection in connections:
            await connection.close()
    held = [len(await offered(owner, case)) for case in cases]
    assert 3 <= sum(held) <= 4
