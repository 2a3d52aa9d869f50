"""Names as bits of a 64-bit word: the categories and trades that a matrix can hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

CODES_MAX: Final = 63
"""Distinct names with a bit of their own; the 64th bit stands for every later one."""

OTHER: Final = CODES_MAX
"""The code of a name that came when all others were given: what it matches, only SQL can tell."""


class Codebook:
    """Gives each name a number, 0–62, in the order they come; any later name is `OTHER`."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names` come first, so that nobody's invention can crowd them out."""
        self._codes: dict[str, int] = {name: code for code, name in enumerate(names)}

    def code(self, name: str) -> int:
        """Returns the number of a name, the same at each call."""
        code = self._codes.get(name)
        if code is None:
            if len(self._codes) >= CODES_MAX:
                return OTHER
            code = self._codes[name] = len(self._codes)
        return code

    def bits(self, names: Iterable[str]) -> int:
        """Returns the word in which the bit of every name is set."""
        word = 0
        for name in names:
            word |= 1 << self.code(name)
        return word
