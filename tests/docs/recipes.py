"""CONTRIBUTING.md as a machine follows it: recipes, their steps, and what the steps change.

A step is a numbered line that begins with the files it is about. An edit is a line such as
"After `TEXT`:" and the fenced block behind it; TEXT is a line of the file, or stands in one line alone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from tests.support.paths import ROOT

PAGE: Final = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
COPIED: Final = (
    "CONTRIBUTING.md", "ARCHITECTURE.md", "README.md", "pyproject.toml", "bench", "broadcast",
    "clients", "deploy", "docs", "engine", "gateway", "geo", "sql", "tests",
)  # fmt: skip

_RECIPE: Final = re.compile(r"^### (.+)$", re.MULTILINE)
_STEP: Final = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)
_FILES: Final = re.compile(r"^[^:]*?(?=:)")
_EDIT: Final = re.compile(
    r"^   (?P<where>After|Before|Instead of|At the end|New file)(?: `(?P<anchor>[^\n]+)`)?:\n\n"
    r"   ```\w+\n(?P<code>.*?)^   ```$",
    re.MULTILINE | re.DOTALL,
)
_COMMANDS: Final = re.compile(r"^   ```sh\n(.*?)^   ```$", re.MULTILINE | re.DOTALL)
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_FORGOTTEN: Final = re.compile(rf"^Without (\d+) {_TEST.pattern} fails", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Edit:
    """A block of code and where it goes."""

    where: str
    anchor: str | None
    code: str

    def apply(self, path: Path) -> None:
        """Changes the file; AssertionError where the anchor is not the one place it must be."""
        if self.where == "New file":
            assert not path.exists(), path
            path.write_text(self.code, encoding="utf-8")
            return
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        at = len(lines) if self.where == "At the end" else self._place(lines, path)
        first = at + (self.where == "After")
        lines[first : at + (self.where in ("After", "Instead of"))] = [self.code]
        path.write_text("".join(lines), encoding="utf-8")

    def _place(self, lines: Sequence[str], path: Path) -> int:
        anchor = self.anchor or ""
        same = [number for number, line in enumerate(lines) if line.strip() == anchor]
        found = same or [number for number, line in enumerate(lines) if anchor in line]
        assert len(found) == 1, f"{path} has {len(found)} lines with {anchor}"
        return found[0]


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered line of a recipe with what stands below it."""

    number: int
    files: tuple[str, ...]
    edits: tuple[Edit, ...]
    commands: tuple[str, ...]

    def follow(self, tree: Path) -> None:
        """Edits the first file of the step in this tree, and runs the commands there."""
        for edit in self.edits:
            edit.apply(tree / self.files[0])
        for command in self.commands:
            text = command.replace(".venv/bin/", f"{shlex.quote(str(ROOT))}/.venv/bin/")
            subprocess.run(
                ["sh", "-eu"], input=text, cwd=tree, env=inside(tree), text=True, check=True
            )


@dataclass(frozen=True, slots=True)
class Recipe:
    """One heading."""

    title: str
    text: str
    steps: tuple[Step, ...]
    forgotten: tuple[tuple[int, str], ...]
    """The number of a step, and the test that fails without it."""

    @property
    def is_followed(self) -> bool:
        """Whether it shows code."""
        return any(step.edits for step in self.steps)

    @property
    def sources(self) -> list[str]:
        """Files of the product in its steps, the first of each: no page, no test."""
        firsts = [step.files[0] for step in self.steps]
        return [f for f in firsts if not f.endswith(".md") and not f.startswith("tests/")]


def recipes() -> Iterator[Recipe]:
    """Every recipe of the page."""
    parts = _RECIPE.split(PAGE)
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        pieces = _STEP.split(text)
        steps = (
            Step(
                int(number),
                tuple(re.findall(r"`([^`]+)`", _first_words(line))),
                tuple(
                    Edit(m["where"], m["anchor"], re.sub("^   ", "", m["code"], flags=re.MULTILINE))
                    for m in _EDIT.finditer(below)
                ),
                tuple(_COMMANDS.findall(below)),
            )
            for number, line, below in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)
        )
        forgotten = tuple((int(n), f"{file}::{test}") for n, file, test in _FORGOTTEN.findall(text))
        yield Recipe(title, text, tuple(steps), forgotten)


def _first_words(line: str) -> str:
    """A step's files stand before its first colon, or its first remark in brackets."""
    return "".join(takewhile(lambda sign: sign not in ":(", line))


def tests_named() -> set[tuple[str, str]]:
    """Every test that the page names, as file and function."""
    return set(_TEST.findall(PAGE))


def inside(tree: Path) -> dict[str, str]:
    """The environment of a process that works on a copy: its modules come first."""
    path = os.pathsep.join([str(tree), str(tree / "clients/python/src")])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return kept | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def followed(tree: Path, leaving_out: Collection[tuple[str, int]] = ()) -> Path:
    """A copy of the tree to which every recipe with code was applied, but for these steps."""
    tree.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(ROOT / name, tree)
    for recipe in recipes():
        for step in recipe.steps:
            if (recipe.title, step.number) not in leaving_out:
                step.follow(tree)
    return tree
