"""The size of modules, classes and constructors, and where modules stand: bounds that only tighten."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support.paths import ROOT

ROOMS: Final = ("bench", "broadcast", "clients", "deploy", "engine", "gateway", "geo", "sql")
LINES_MAX: Final = 400
METHODS_MAX: Final = 20
PARAMETERS_MAX: Final = 6

# What exceeds a bound, with its reason. Whatever keeps to it again must leave its list.
LONG_MODULES: Final[Mapping[str, str]] = {}
LARGE_CLASSES: Final[Mapping[str, str]] = {
    "clients/python/src/hustlexp_client/api.py::Api": "a method for each call of the contract",
    "gateway/session/transport.py::GatewayWebSocketProtocol": "what uvicorn and a session call",
}
WIDE_CONSTRUCTORS: Final[Mapping[str, str]] = {
    "bench/simulator/hustler.py::Hustler": "a person with session, means and habits",
    "bench/simulator/poster.py::Poster": "a person with session, means and habits",
    "engine/money/reconciliation.py::Reconciler": "what it repairs has four sources",
}
LOOSE_MODULES: Final[Mapping[str, str]] = {}


def product(*suffixes: str) -> list[Path]:
    """The product's files with these suffixes."""
    return sorted(
        path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in suffixes
    )


def name_of(path: Path) -> str:
    """The path from the root on."""
    return path.relative_to(ROOT).as_posix()


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    """Every class of the product, as `path::Class`."""
    for path in product(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield f"{name_of(path)}::{node.name}", node


def long_modules() -> set[str]:
    """Modules of Python and SQL with more lines than they may have."""
    return {
        name_of(path)
        for path in product(".py", ".sql")
        if len(path.read_text(encoding="utf-8").splitlines()) > LINES_MAX
    }


def large_classes() -> set[str]:
    """Classes with more public methods than they may have."""
    return {
        name
        for name, node in classes()
        if sum(
            isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
            and not member.name.startswith("_")
            for member in node.body
        )
        > METHODS_MAX
    }


def wide_constructors() -> set[str]:
    """Classes whose `__init__` takes more parameters beside `self` than it may."""
    return {
        name
        for name, node in classes()
        for member in node.body
        if isinstance(member, ast.FunctionDef)
        and member.name == "__init__"
        and len(member.args.posonlyargs + member.args.args + member.args.kwonlyargs) - 1
        > PARAMETERS_MAX
    }


def loose_modules() -> set[str]:
    """Modules that stand at the root of a room which has folders for its subjects."""
    return {
        name_of(path)
        for room in ("engine", "gateway")
        for path in (ROOT / room).glob("*.py")
        if path.name != "__init__.py"
    }


@pytest.mark.parametrize(
    ("found", "excepted"),
    [
        pytest.param(long_modules(), LONG_MODULES, id="a module has at most 400 lines"),
        pytest.param(large_classes(), LARGE_CLASSES, id="a class has at most 20 public methods"),
        pytest.param(
            wide_constructors(), WIDE_CONSTRUCTORS, id="a constructor has at most 6 parameters"
        ),
        pytest.param(loose_modules(), LOOSE_MODULES, id="no module stands loose in a room"),
    ],
)
def test_the_tree_keeps_its_bounds_but_for_named_exceptions(
    found: set[str], excepted: Mapping[str, str]
) -> None:
    """A new excess fails; so does an exception that is no longer needed."""
    assert found == excepted.keys()
    assert all(excepted.values())
