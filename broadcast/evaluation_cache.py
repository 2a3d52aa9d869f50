"""The evaluated hustlers of a broadcast: what keeps quiet ticks away from the database.

Per broadcast three parallel columns, sorted by hustler id: the generation a hustler was evaluated
at and when to ask again. All look-ups are vectorised; memory is 32 bytes per hustler evaluated.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.bytes_]
"""16-byte UUIDs, dtype S16, shape (n,)."""

NEVER: Final = float("inf")
"""As `ask_again_at`: the result is final for this broadcast."""


class EvaluationCache:
    """The results of one broadcast by hustler."""

    def __init__(self) -> None:
        self._ids: Ids = np.empty(0, "S16")
        self._generations: NDArray[np.int64] = np.empty(0, np.int64)
        self._ask_again_at: NDArray[np.float64] = np.empty(0, np.float64)

    def __len__(self) -> int:
        return self._ids.size

    def to_ask(self, ids: Ids, generations: NDArray[np.int64], now_s: float) -> NDArray[np.bool_]:
        """Returns a mask of hustlers to evaluate: new, due, or of another generation.

        A final result stands whatever the generation.
        """
        if not self._ids.size:
            return np.ones(ids.size, np.bool_)
        at = np.minimum(np.searchsorted(self._ids, ids), self._ids.size - 1)
        known = self._ids[at] == ids
        again_at = self._ask_again_at[at]
        changed = (self._generations[at] != generations) & (again_at != NEVER)
        return np.asarray(~known | changed | (again_at <= now_s), np.bool_)

    def record(
        self, ids: Ids, generations: NDArray[np.int64], ask_again_at: NDArray[np.float64]
    ) -> None:
        """Stores the results of distinct hustlers; a newer one replaces an older one."""
        if not ids.size:
            return
        merged = np.concatenate((ids, self._ids))
        # The first of equal ids is kept, and the new ones stand first.
        self._ids, first = np.unique(merged, return_index=True)
        self._generations = np.concatenate((generations, self._generations))[first]
        self._ask_again_at = np.concatenate((ask_again_at, self._ask_again_at))[first]
