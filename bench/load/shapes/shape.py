"""What a shape is: how many users there are at each second, and where they crowd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of load; `users_at(second, peak, length_s)` is a pure function.

    `hot_share` of hustlers and tasks are within walking distance of one corner.
    """

    about: str
    users_at: Callable[[float, int, float], int]
    hot_share: float = 0.0
