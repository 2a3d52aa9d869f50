"""XP and levels. Twin of the functions in sql/schema/progress/functions.sql; property tests hold them equal.

Decimal throughout: 1.05 × 1.5 has no exact float, and a floor would lose a point at some borders.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Final, NamedTuple

from engine.kernel.states import Mode


class Level(NamedTuple):
    """A level, the total XP at which it begins, and its title."""

    level: int
    xp_required: int
    title: str


LEVELS: Final = (
    Level(1, 0, "Rookie"),
    Level(2, 100, "Beginner"),
    Level(3, 300, "Apprentice"),
    Level(4, 600, "Journeyman"),
    Level(5, 1_000, "Skilled"),
    Level(6, 1_500, "Expert"),
    Level(7, 2_100, "Master"),
    Level(8, 2_800, "Grandmaster"),
    Level(9, 3_600, "Legend"),
    Level(10, 4_500, "Mythic"),
)
"""product_spec §5.4."""

_TIER_MULTIPLIER: Final = {1: Decimal("1.0"), 2: Decimal("1.5"), 3: Decimal(2), 4: Decimal(2)}


def level_of(total_xp: int) -> Level:
    """The level that a total reaches.

    >>> level_of(299).title
    'Beginner'
    """
    return next(level for level in reversed(LEVELS) if level.xp_required <= max(total_xp, 0))


def streak_multiplier(streak_days: int) -> Decimal:
    """1 + 0.05 a day, at most 2 (product_spec §5.2)."""
    return min(1 + Decimal("0.05") * streak_days, Decimal(2))


def trust_multiplier(trust_tier: int) -> Decimal:
    """ROOKIE 1, VERIFIED 1.5, TRUSTED and ELITE 2; KeyError for another tier."""
    return _TIER_MULTIPLIER[trust_tier]


def live_multiplier(mode: Mode) -> Decimal:
    """1.25 for LIVE (product_spec §3.6)."""
    return Decimal("1.25") if mode == "LIVE" else Decimal(1)


def base_xp(released_cents: int) -> int:
    """Whole dollars released."""
    return released_cents // 100


def effective_xp(released_cents: int, streak_days: int, trust_tier: int, mode: Mode) -> int:
    """The XP of one release; only the product is rounded, down.

    >>> effective_xp(3_333, streak_days=1, trust_tier=2, mode="LIVE")
    65
    """
    exact = (
        Decimal(released_cents)
        * streak_multiplier(streak_days)
        * trust_multiplier(trust_tier)
        * live_multiplier(mode)
        / 100
    )
    return int(exact.to_integral_value(ROUND_FLOOR))
