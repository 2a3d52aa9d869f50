"""The offer caps: which new pairs are offered now, best score first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of pairs: offered now, deferred by the hustler's cap, left for the next tick."""

    now: list[int]
    hustler_full: list[int]
    next_tick: list[int]


def select(
    order: NDArray[np.intp],
    broadcasts: Sequence[int],
    hustlers: Sequence[int],
    open_offers: Sequence[int],
    *,
    offers_per_tick: int,
    open_offers_max: int,
) -> Selection:
    """Returns which pairs, taken in `order`, both caps allow now, and which cap defers the others.

    `broadcasts` and `hustlers` name the sides of each pair by a number, `open_offers` is how many
    the hustler has already.
    """
    given: dict[int, int] = {}
    received: dict[int, int] = {}
    selection = Selection([], [], [])
    for row in order.tolist():
        broadcast, hustler = broadcasts[row], hustlers[row]
        if open_offers[row] + received.get(hustler, 0) >= open_offers_max:
            selection.hustler_full.append(row)
        elif given.get(broadcast, 0) >= offers_per_tick:
            selection.next_tick.append(row)
        else:
            given[broadcast] = given.get(broadcast, 0) + 1
            received[hustler] = received.get(hustler, 0) + 1
            selection.now.append(row)
    return selection
