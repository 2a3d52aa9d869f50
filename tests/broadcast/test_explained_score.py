"""What an explanation says of a pair's score is what its wave computed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.kernel.ids import TaskId, UserId
from engine.kernel.store import Store
from engine.matching.offer_explanation import OfferExplanations
from engine.matching.score import PROFILES
from tests.broadcast.world import QUICK, World, until


@pytest.mark.parametrize("name", PROFILES)
async def test_the_explanation_adds_up_to_the_score_on_the_card(world: World, name: str) -> None:
    """Under each profile, of a newcomer and of somebody with everything on record."""
    newcomer = await world.hustler(2)
    known = await world.hustler(
        2,
        trust_tier=3,
        profile={
            "completion_rate": 0.8,
            "approval_rate": 0.7,
            "category_counts": '{"moving": 3, "cleaning": 9}',
            "preferred_categories": ["cleaning"],
            "verified_trades": ["mover"],
            "minimum_price_cents": 6_000,
            "available_minutes": 90,
        },
    )
    demands = {"required_trade": "mover", "estimated_minutes": 150}
    broadcasts = [await world.broadcast(), await world.broadcast(**demands)]
    profile = PROFILES[name]
    async with world.broadcaster(replace(QUICK, profile=profile)) as broadcaster:
        for broadcast in broadcasts:
            broadcaster.wake(broadcast)
        await until(lambda: len(world.delivery.shown) == 3)
    explanations = OfferExplanations(
        Store(world.database), world.presence, profile, QUICK.open_offers
    )
    for hustler, card in world.delivery.shown:
        explained = await explanations.explain(TaskId(card.task.id), UserId(hustler))
        assert explained.score is not None
        assert explained.score.total == pytest.approx(card.matching_score, abs=1e-6)
        total = sum(part.points for part in explained.score.parts)
        assert total == pytest.approx(card.matching_score, abs=1e-6)
    assert {hustler for hustler, _ in world.delivery.shown} == {newcomer, known}
