"""Whatever pages, comments and docstrings point at is there.

ADRs and the changelog tell of what was; everything else points at what is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.support.paths import ROOT

ROOMS = (
    "bench", "broadcast", "clients", "deploy", "docs", "engine", "gateway", "geo", "sql", "tests",
)  # fmt: skip
PATH = re.compile(rf"(?<![\w/.:$-])(?:{'|'.join(ROOMS)})/[\w./*<>-]*[\w*>]")
MODULE = re.compile(rf"`((?:{'|'.join(ROOMS)})(?:\.\w+)+)`")
READ = frozenset({".md", ".py", ".sql", ".lua", ".sh", ".js"})
MADE_BY_RECIPES = frozenset({"engine/photos/upload_count.py"})
"""What CONTRIBUTING.md shows how to make."""


def texts() -> Iterator[Path]:
    """Every page and every file of the product."""
    for folder in (ROOT, *(ROOT / room for room in ROOMS if room != "tests")):
        pages = folder.glob("*.md") if folder == ROOT else folder.rglob("*")
        for path in pages:
            if path.suffix in READ and "adr" not in path.parts and path.name != "CHANGELOG.md":
                yield path


def ours() -> set[str]:
    """Every file and folder of the rooms, by its path from the root on."""
    return {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room, *(ROOT / room).rglob("*"))
    }


def is_there(name: str, known: set[str]) -> bool:
    """A `<subject>` or a `*` stands for any one."""
    pattern = re.sub(r"<\w+>", "*", name)
    return name in known or ("*" in pattern and any(fnmatch(path, pattern) for path in known))


def names_something(module: str, known: set[str]) -> bool:
    """`engine.kernel.errors`, or `engine.kernel.errors.Refusal` with that name in its text."""
    *folders, last = module.split(".")
    above = "/".join(folders)
    if f"{above}/{last}.py" in known or f"{above}/{last}" in known:
        return True
    source = ROOT / f"{above}.py"
    return source.is_file() and re.search(rf"\b{last}\b", source.read_text()) is not None


@pytest.fixture(scope="module")
def known() -> set[str]:
    """What there is."""
    return ours()


def test_every_path_that_is_pointed_at_exists(known: set[str]) -> None:
    """In pages and in comments, docstrings and texts of the product."""
    stale = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in texts()
        for name in PATH.findall(path.read_text(encoding="utf-8"))
        if not is_there(name.rstrip("/."), known | MADE_BY_RECIPES)
    ]
    assert stale == []


def test_every_module_that_is_pointed_at_exists(known: set[str]) -> None:
    """Written as Python names it, in backticks."""
    stale = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in texts()
        for name in MODULE.findall(path.read_text(encoding="utf-8"))
        if not names_something(name, known)
    ]
    assert stale == []


def test_what_is_not_there_is_seen(known: set[str]) -> None:
    """Of a path, a pattern and a module."""
    assert is_there("engine/<subject>/commands.py", known)
    assert not is_there("engine/commands.py", known)
    assert not is_there("engine/*/nothing.py", known)
    assert names_something("engine.kernel.errors.Refusal", known)
    assert not names_something("engine.kernel.errors.Nothing", known)
    assert not names_something("engine.errors", known)
