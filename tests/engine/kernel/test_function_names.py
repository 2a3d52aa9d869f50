"""Every SQL function that Python calls by name exists, with so many arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from sql.named import function_call
from tests.support.paths import ROOT

ROOMS = ("engine", "broadcast", "gateway", "bench")
# How many arguments stand before the function's own, by method; the name is the last of them.
CALLERS = {"run": 1, "_run": 1, "perform": 1, "_call": 1, "call": 2}
FROM_DATABASE = {"_database": 1, "database": 1}


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """(function, number of arguments) of each call with a literal name in one module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        before = CALLERS.get(node.func.attr)
        owner = node.func.value
        if isinstance(owner, ast.Attribute) and node.func.attr == "call":
            before = FROM_DATABASE.get(owner.attr, before)
        if before is None or len(node.args) < before:
            continue
        name = node.args[before - 1]
        choices = [name.body, name.orelse] if isinstance(name, ast.IfExp) else [name]
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            continue  # a function that hands its caller's arguments on
        for choice in choices:
            if isinstance(choice, ast.Constant) and isinstance(choice.value, str):
                yield choice.value, len(node.args) - before


async def test_each_function_exists_with_that_arity(owner_dsn: str) -> None:
    """By the source, so that a call no test reaches is looked at too."""
    called = {
        call for room in ROOMS for path in (ROOT / room).rglob("*.py") for call in calls(path)
    }
    assert len(called) > 60
    connection = await asyncpg.connect(owner_dsn)
    try:
        rows = await connection.fetch(
            "select proname, pronargs, pronargdefaults from pg_proc"
            " where pronamespace = 'public'::regnamespace"
        )
    finally:
        await connection.close()
    arities: dict[str, list[range]] = {}
    for row in rows:
        least = row["pronargs"] - row["pronargdefaults"]
        arities.setdefault(row["proname"], []).append(range(least, row["pronargs"] + 1))
    missing = {
        (name, count)
        for name, count in called
        if not any(count in arity for arity in arities.get(name, ()))
    }
    assert not missing
    # one name, one function: a call by name must not have to choose
    assert {name for name, _ in called if len(arities[name]) > 1} == set()


def test_a_call_is_one_statement_that_may_bound_its_wait() -> None:
    """And nothing but a name comes into it."""
    assert function_call("accept_task", 2) == "select accept_task($1, $2)"
    assert function_call("fire_timer", 1, 20) == (
        "select fire_timer($1) from set_config('lock_timeout', '20ms', true)"
    )
    with pytest.raises(ValueError, match="no name of a function"):
        function_call("f(); drop table tasks; --", 0)
