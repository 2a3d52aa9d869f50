"""The statements that the service sends: named queries, and calls of SQL functions.

The text of `sql/queries/*.sql` is loaded once; a query begins with `-- name: open_broadcasts` and
ends where the next one begins.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_FUNCTION = re.compile(r"^[a-z_]+$")
_HEADER = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)


@cache
def queries() -> dict[str, str]:
    """Returns every named query by name; raises ValueError when a name stands twice."""
    found: dict[str, str] = {}
    for texts in by_file().values():
        for name, text in texts.items():
            if name in found:
                raise ValueError(f"query {name!r} stands twice in sql/queries")
            found[name] = text
    return found


@cache
def by_file() -> dict[str, dict[str, str]]:
    """Returns the named queries of each file of `sql/queries`, in their order there."""
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


@cache
def function_call(function: str, arity: int, lock_timeout_ms: int | None = None) -> str:
    """Returns the statement that calls an SQL function by name with `arity` arguments.

    With `lock_timeout_ms` the call waits only so long for a row lock.
    """
    if not _FUNCTION.match(function):
        raise ValueError(f"{function!r} is no name of a function")
    arguments = ", ".join(f"${number}" for number in range(1, arity + 1))
    patience = (
        ""
        if lock_timeout_ms is None
        else (f" from set_config('lock_timeout', '{lock_timeout_ms}ms', true)")
    )
    return f"select {function}({arguments}){patience}"


def query(name: str) -> str:
    """Returns the text of a query; KeyError for an unknown name."""
    return queries()[name]
