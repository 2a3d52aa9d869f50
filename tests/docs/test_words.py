"""The words of the code are those of the glossary: a word that lost names nothing any more.

Identifiers, file names and metrics are read; prose, comments, literals and the names of tests, which
are sentences, are not. A lost word in small letters is sought in every name, by its parts
(`hold_task` in `hold_task_rows`); one that begins with a capital is a class of exactly this name.
"""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from itertools import pairwise
from pathlib import PurePath
from typing import Final, NamedTuple

import pytest

from tests.support.paths import ROOT

GLOSSARY: Final = "docs/glossary.md"
SECTION: Final = "## Words of the code"

EXCEPTIONS: Final = {
    ("pulse", "gateway/pages/map/*"): "a ring of light that runs out from a task",
    ("pulses", "gateway/pages/map/*"): "the same, several",
}
"""(lost word, paths): why it may stand there."""

_PARTS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SQL_PROSE: Final = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_LUA_PROSE: Final = re.compile(r"--[^\n]*|'[^'\n]*'|\"[^\"\n]*\"")
_JS_PROSE: Final = re.compile(r"//[^\n]*|/\*.*?\*/|\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_METRIC: Final = re.compile(r"\bhustlexp_\w+")


class Lost(NamedTuple):
    """A word that lost, and the one that won."""

    word: str
    winner: str

    def names(self, name: str) -> bool:
        """Whether a name is made of this word."""
        if self.word[0].isupper():
            return name.lstrip("_") == self.word
        return _spelled(self.word) in _spelled(name)


@cache
def _spelled(name: str) -> str:
    """A name's parts in small letters, each between two underscores."""
    return f"_{'_'.join(part.lower() for part in _PARTS.findall(name))}_"


def lost_words() -> list[Lost]:
    """The table of the glossary, a row for each word that lost."""
    section = (ROOT / GLOSSARY).read_text().split(SECTION)[1].split("\n## ")[0]
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("| ")][1:]
    return [
        Lost(word, winner.strip())
        for winner, losers, _ in rows
        for word in re.findall(r"`(\w+)`", losers)
    ]


def tracked() -> list[str]:
    """Paths of the tree that are ours."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [
        path
        for path in listed.stdout.splitlines()
        if "swagger_ui/" not in path and (ROOT / path).is_file()
    ]


def names_of(path: str) -> Iterator[str]:
    """The file's own name, the identifiers in it, and the metrics it speaks of."""
    yield from PurePath(path).name.split(".")[:1]
    kind = PurePath(path).suffix
    if kind not in (".py", ".sql", ".lua", ".js", ".json", ".yaml"):
        return
    text = (ROOT / path).read_text()
    if kind == ".py":
        yield from _python_names(text)
        yield from _METRIC.findall(text)
    elif kind in (".json", ".yaml"):
        yield from _METRIC.findall(text)
    else:
        prose = {".sql": _SQL_PROSE, ".lua": _LUA_PROSE, ".js": _JS_PROSE}[kind]
        yield from _NAME.findall(prose.sub(" ", text))


def _python_names(text: str) -> Iterator[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    names = [token.string for token in tokens if token.type in (tokenize.NAME, tokenize.OP)]
    for before, name in pairwise(["", *names]):
        is_sentence = before == "def" and name.startswith("test_")
        is_of_others = before == "." and name[:1].isupper()  # ours is found where it is defined
        if name.isidentifier() and not is_sentence and not is_of_others:
            yield name


class Found(NamedTuple):
    """A lost word in a name of one file."""

    path: str
    name: str
    lost: Lost

    @property
    def exceptions(self) -> set[tuple[str, str]]:
        """The exceptions that let it stand."""
        return {
            (word, paths)
            for word, paths in EXCEPTIONS
            if word == self.lost.word and fnmatch(self.path, paths)
        }


@pytest.fixture(scope="module")
def found() -> list[Found]:
    """Every lost word of the tree, with the name that it stands in."""
    words = lost_words()
    return [
        Found(path, name, lost)
        for path in tracked()
        for name in sorted(set(names_of(path)))
        for lost in words
        if lost.names(name)
    ]


def test_no_lost_word_names_anything(found: list[Found]) -> None:
    """Every name of the tree is made of words that won."""
    assert [
        f"{one.path}: {one.name}: {one.lost.winner}, not {one.lost.word}"
        for one in found
        if not one.exceptions
    ] == []


def test_every_exception_is_needed(found: list[Found]) -> None:
    """An exception whose word has left its files goes too."""
    used = {exception for one in found for exception in one.exceptions}
    assert set(EXCEPTIONS) - used == set()


@pytest.mark.parametrize(
    ("word", "name", "is_in"),
    [
        ("hold_task", "hold_task_rows", True),
        ("hold_task", "threshold_task", False),
        ("desk", "AdminDesk", True),
        ("desk", "DESK_CALLS", True),
        ("desk", "desktop", False),
        ("Wire", "_Wire", True),
        ("Wire", "WireTime", False),
        ("Wire", "wire", False),
    ],
)
def test_words_are_found_by_their_parts(word: str, name: str, *, is_in: bool) -> None:
    """A part of a name is one between underscores or capitals; a class is its whole name."""
    assert Lost(word, "").names(name) is is_in


def test_the_table_has_words() -> None:
    """A table that is not read would refuse nothing."""
    words = lost_words()
    assert len(words) > 50
    assert len(words) == len({lost.word for lost in words})
