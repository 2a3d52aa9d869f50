"""Named queries: the text of `sql/queries/*.sql`, loaded once.

A query begins with `-- name: open_broadcasts` and ends where the next one begins.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)


@cache
def queries() -> dict[str, str]:
    """Every named query; raises ValueError when a name stands twice."""
    found: dict[str, str] = {}
    for texts in by_file().values():
        for name, text in texts.items():
            if name in found:
                raise ValueError(f"query {name!r} stands twice in sql/queries")
            found[name] = text
    return found


@cache
def by_file() -> dict[str, dict[str, str]]:
    """The named queries of each file of `sql/queries`, in the order they stand there."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted(files("sql").joinpath("queries").iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".sql"):
            continue
        parts = _HEADER.split(file.read_text(encoding="utf-8"))
        names = parts[1::2]
        if len(set(names)) != len(names):
            raise ValueError(f"a query stands twice in {file.name}")
        texts = (text.strip() for text in parts[2::2])
        found[file.name] = dict(zip(names, texts, strict=True))
    return found


def query(name: str) -> str:
    """The text of one query; KeyError for an unknown name."""
    return queries()[name]
