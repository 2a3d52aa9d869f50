"""Where a test stands says what it tests: the folders of tests are those of the product."""

from __future__ import annotations

from pathlib import Path

from tests.support.paths import ROOT

OF_THE_WHOLE = frozenset(
    {"e2e", "crash", "oracles", "support", "docs", "clients", "sql/rules"},
)
"""Folders of tests/ that test the product as a whole, or hold no tests."""


def product_folders(folder: Path) -> list[Path]:
    """Where the code may be that a folder of tests is about.

    A subject of the engine whose rules are all SQL has its folder in sql/schema alone.
    """
    same = ROOT / folder
    if folder.parts[0] == "engine":
        return [same, ROOT / "sql" / "schema" / Path(*folder.parts[1:])]
    return [same]


def test_every_test_stands_where_its_code_does() -> None:
    """tests/engine/money/providers/stripe tests engine/money/providers/stripe."""
    tests = ROOT / "tests"
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    strays = [
        folder.as_posix()
        for folder in sorted(folders)
        if not any(folder.is_relative_to(each) for each in OF_THE_WHOLE)
        and not any(place.is_dir() for place in product_folders(folder))
    ]
    assert strays == []
