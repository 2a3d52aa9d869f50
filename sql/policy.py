"""Reads the product's numbers from `schema/policy.sql`, and renders `docs/policy.md`.

`python -m sql.policy` prints the body of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby

_SECTION = re.compile(r"^-- ── (?P<title>.+?) ─+$", re.MULTILINE)
_NUMBER = re.compile(
    r"^-- (?P<meaning>.+) \((?P<source>[^()]+)\)\n"
    r"create or replace function (?P<name>[a-z_]+)\(\) returns (?P<type>[a-z ]+)\n"
    r"language sql immutable return (?P<value>.+);$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the product: its SQL function, and what the comment above it says."""

    section: str
    name: str
    type: str
    value: str
    """As SQL writes it."""
    meaning: str
    source: str

    @property
    def plain(self) -> str:
        """Returns the value for a reader: `15 minutes`, not `interval '15 minutes'`."""
        return self.value.removeprefix("interval ").strip("'")


@cache
def numbers() -> dict[str, Number]:
    """Returns every number by name, in the order of the file."""
    parts = _SECTION.split(files("sql").joinpath("schema/policy.sql").read_text(encoding="utf-8"))
    return {
        found["name"]: Number(section, **found.groupdict())
        for section, text in zip(parts[1::2], parts[2::2], strict=True)
        for found in _NUMBER.finditer(text)
    }


def markdown() -> str:
    """Returns the body of `docs/policy.md`: one table for each section."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for section, found in groupby(numbers().values(), lambda number: number.section):
        yield f"## {section}\n\n| Number | Value | What it is | Source |\n|---|---|---|---|"
        for number in found:
            yield f"| `{number.name}` | {number.plain} | {number.meaning} | {number.source} |"
        yield ""


if __name__ == "__main__":
    print(markdown())  # noqa: T201
