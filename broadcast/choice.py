"""Which pairs are offered now: the best for each hustler's free places, then each broadcast's share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from broadcast.hustler_columns import Floats, Mask, Rows

_SCORE_BITS: Final = np.uint64(44)
_SCORES: Final = np.uint64(1 << 43)
"""A score, 0..1, in steps of 1e-13: nearer ones count as equal, and stay in together."""


def best_per(group: Rows, score: Floats, most: NDArray[np.int64]) -> Mask:
    """Returns which of n pairs are among the `most` best of their group, ties included: bool (n,).

    One sort of a packed key: group, then score downwards. `most`, at least 1, is the limit of each
    pair's own group. Ties stay in, since only the whole ranking can tell them apart.
    """
    if not group.size:
        return np.zeros(0, np.bool_)
    down = _SCORES - np.round(score * float(_SCORES)).astype(np.uint64)
    order = np.argsort(group.astype(np.uint64) << _SCORE_BITS | down)
    rank, first = _ranks(group[order])
    ordered, limit = down[order], most[order]
    # the last one that is in, or the group's last: no nearer than that to the next group
    cut = (
        np.minimum(first + limit, np.append(np.unique(first)[1:], group.size)[_numbers(first)]) - 1
    )
    kept = np.zeros(group.size, np.bool_)
    kept[order] = (rank < limit) | (ordered == ordered[cut])
    return kept


def first_per(group: Rows, most: NDArray[np.int64]) -> Mask:
    """Returns which of n pairs, taken in their order, are within their group's limit: bool (n,)."""
    if not group.size:
        return np.zeros(0, np.bool_)
    order = np.argsort(group, kind="stable")
    rank, _ = _ranks(group[order])
    within = np.zeros(group.size, np.bool_)
    within[order] = rank < most[order]
    return within


def best_first(total: Floats, tie_break: Callable[[Rows], Rows]) -> Rows:
    """Returns row numbers, the highest score first; `tie_break` orders rows of which some are equal.

    `tie_break` gets rows, and returns them in the order of the whole ranking.
    """
    order = np.argsort(-total, kind="stable")
    ordered = total[order]
    same = ordered[1:] == ordered[:-1]
    if same.any():
        tied = np.append(same, False) | np.append(False, same)
        # equal scores stand side by side, so the ranking of all of them falls into the same places
        order[tied] = tie_break(order[tied])
    return order


def _ranks(ordered: Rows) -> tuple[Rows, Rows]:
    """Returns each row's rank within its group, and the row where its group begins."""
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    first = np.repeat(begins, np.diff(np.append(begins, ordered.size)))
    return np.arange(ordered.size) - first, first


def _numbers(first: Rows) -> Rows:
    """Returns the number of each row's group, counted in order."""
    return np.cumsum(np.append(False, first[1:] != first[:-1]))
