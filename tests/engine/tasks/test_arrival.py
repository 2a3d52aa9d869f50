"""When a hustler counts as arrived, and what hangs on it."""

from uuid import UUID

import pytest

from engine.kernel.errors import Refusal
from engine.kernel.ids import TaskId, UserId
from engine.tasks.commands import KnownPosition
from geo.points import LatLng
from tests.support.market import Market

DOOR = LatLng(37.77, -122.42)
TWO_MILES_OFF = LatLng(37.799, -122.42)
M_PER_DEGREE = 111_195.08


def north_of_the_door(metres: float) -> LatLng:
    """A point so far from the task."""
    return LatLng(DOOR.lat + metres / M_PER_DEGREE, DOOR.lng)


async def has_arrived(market: Market, task: TaskId) -> bool:
    """Whether the task says so to its poster."""
    seen = await market.queries.tasks.view(await market.poster_of(task), task)
    return seen.arrived_at is not None


async def refusal(market: Market, hustler: UserId, task: TaskId, fix: KnownPosition) -> str:
    """The code and invariant of a refused arrival."""
    with pytest.raises(Refusal) as caught:
        await market.commands.tasks.arrived(hustler, task, fix)
    return f"{caught.value.kind.code} {caught.value.kind.invariant}"


async def test_a_fresh_position_elsewhere_refuses_the_arrival(market: Market) -> None:
    """HX021, from just outside 150 m to miles away, until 5 minutes have made it an old one."""
    task, hustler = await market.accepted()
    for fix in (
        KnownPosition(TWO_MILES_OFF, 0.0),
        KnownPosition(north_of_the_door(151), 0.0),
        KnownPosition(north_of_the_door(151), 299.0),
        KnownPosition(north_of_the_door(151), -4.0),
    ):
        assert await refusal(market, hustler, task, fix) == "HX021 ARRIVAL"
    assert not await has_arrived(market, task)
    await market.commands.tasks.arrived(hustler, task, KnownPosition(north_of_the_door(149), 299.0))
    assert await has_arrived(market, task)


@pytest.mark.parametrize(
    "fix", [None, KnownPosition(TWO_MILES_OFF, 301.0), KnownPosition(DOOR, 301.0)]
)
async def test_without_a_fresh_position_an_arrival_is_a_claim_that_binds_nobody(
    market: Market, fix: KnownPosition | None
) -> None:
    """The poster hears of it once, and cancels as before."""
    task, hustler = await market.accepted("STANDARD")
    poster = await market.poster_of(task)
    for _ in range(2):
        await market.commands.tasks.arrived(hustler, task, fix)
    assert not await has_arrived(market, task)
    assert market.effects.types_for(poster).count("NUDGE") == 1
    with pytest.raises(Refusal):
        await market.commands.disputes.open(hustler, task, "Nobody opens.")
    await market.commands.tasks.cancel(poster, task, None)
    assert await market.state(task) == "CANCELLED"


async def test_who_only_claims_to_be_there_is_a_no_show_in_time(own_market: Market) -> None:
    """From 15 minutes after the ETA, as if nothing had been said."""
    market = own_market
    task, hustler = await market.accepted("STANDARD")
    await market.commands.tasks.arrived(hustler, task, None)
    await market.advance("24 hours 15 minutes")
    await market.commands.tasks.cancel(await market.poster_of(task), task, "NO_SHOW")
    assert await market.state(task) == "CANCELLED"


async def test_a_claim_becomes_an_arrival_with_a_position(market: Market) -> None:
    """The hustler's word does not stand in the way of the evidence."""
    task, hustler = await market.accepted()
    await market.commands.tasks.arrived(hustler, task, None)
    await market.arrive(hustler, task)
    assert await has_arrived(market, task)


@pytest.mark.parametrize("mode", ["LIVE", "STANDARD"])
async def test_photos_and_nothing_prove_no_work_to_which_nobody_came(
    market: Market, mode: str
) -> None:
    """HX010 ARRIVAL in ACCEPTED, with or without a claim; from the arrival on they are taken."""
    task, hustler = await market.accepted(mode, requires_proof=False)  # type: ignore[arg-type]
    photo = await market.photo(hustler)

    async def refused() -> None:
        for proof in (
            market.commands.proofs.submit_photos(hustler, task, [photo]),
            market.commands.proofs.submit(hustler, task, None),
        ):
            with pytest.raises(Refusal) as caught:
                await proof
            assert (caught.value.kind.code, caught.value.kind.invariant) == ("HX010", "ARRIVAL")

    await refused()
    await market.commands.tasks.arrived(hustler, task, None)
    await refused()
    await market.arrive(hustler, task)
    await market.commands.proofs.submit_photos(hustler, task, [photo])
    assert await market.state(task) == "PROOF_SUBMITTED"


async def test_a_code_of_the_poster_is_evidence_of_its_own(market: Market) -> None:
    """Start or completion code: the poster gave it, wherever the phone says the hustler is."""
    task, hustler = await market.accepted()
    await market.commands.proofs.submit(hustler, task, market.codes.code(task, "COMPLETION", 1))
    assert await has_arrived(market, task)
    (proof,) = await market.queries.proofs.of_task(hustler, task)
    assert proof.started_by_code is False

    task, hustler = await market.photographed()
    (proof,) = await market.queries.proofs.of_task(await market.poster_of(task), task)
    assert proof.started_by_code is True


async def test_a_poster_is_reminded_24_and_4_hours_before_silence_approves(
    own_market: Market,
) -> None:
    """Not a second earlier, and told whether the work was started with the code."""
    market = own_market
    task, hustler = await market.accepted(requires_proof=False)
    poster = await market.poster_of(task)
    await market.arrive(hustler, task)
    await market.commands.proofs.submit(hustler, task, None)

    async def nudges_after(wait: str) -> list[str]:
        await market.advance(wait)
        while await market.timers.fire_due():
            pass
        return [
            event.data["text"]
            for applied in market.effects.committed
            for event in applied.events
            if event.user_id == poster and event.type == "NUDGE"
        ]

    assert await nudges_after("23 hours 59 minutes 50 seconds") == []
    (first,) = await nudges_after("11 seconds")
    assert "not started with your code" in first
    assert len(await nudges_after("19 hours 59 minutes 50 seconds")) == 1
    assert len(await nudges_after("11 seconds")) == 2
    assert len(await nudges_after("4 hours")) == 2
    assert await market.state(task) == "COMPLETED"


async def test_evidence_of_one_side_is_told_to_both(market: Market) -> None:
    """Whoever adds it; where the text is read, the event says."""
    task, hustler = await market.disputed()
    poster, admin = await market.poster_of(task), await market.user("admin")
    received: list[tuple[str, UUID]] = []
    for who in (poster, hustler, admin):
        await market.commands.disputes.add_evidence(who, task, "Look here.", [])
        events = market.effects.committed[-1].events
        received += [(event.type, event.user_id) for event in events]
    assert received == [
        ("EVIDENCE_ADDED", side) for _ in range(3) for side in sorted((poster, hustler))
    ]
