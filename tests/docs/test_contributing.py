"""CONTRIBUTING.md leads where it says: its recipes are followed in a copy of the tree.

Each shows its code once. The first copy has all of it, and a service started there must do what the
recipes promise; in the second some steps are left out, and the tests that the page names must fail.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import recipes
from tests.support.paths import ROOT
from tests.support.servers import RunServers

RECIPES = list(recipes.recipes())
SOURCES_MAX = 4
WITHIN_S = 100
"""For a process that is quick where nobody else is at work."""
pytestmark = pytest.mark.timeout(WITHIN_S + 20)
LEFT_OUT = frozenset(
    {
        ("A setting", 2),
        ("A metric and its alert", 2),
        ("An error", 5),
        ("A durable event", 5),
        ("An invariant check", 2),
    }
)
"""Steps whose absence a test without servers notices."""


def paths_named(text: str) -> Iterator[str]:
    """What stands in backticks and looks like a path of the repository."""
    for name in re.findall(r"`([^`\n ]+)`", text):
        if re.match(r"(bench|broadcast|clients|deploy|docs|engine|gateway|geo|sql|tests)/", name):
            yield name.partition("::")[0]


def made() -> set[str]:
    """Files that the recipes make."""
    return {
        step.files[0]
        for recipe in RECIPES
        for step in recipe.steps
        if any(edit.where == "New file" for edit in step.edits)
    }


def test_every_path_exists() -> None:
    """A subject in <angle brackets> stands for any one that has it."""
    missing = [
        name
        for name in paths_named(recipes.PAGE)
        if not list(ROOT.glob(re.sub(r"<\w+>", "*", name).rstrip("/"))) and name not in made()
    ]
    assert missing == []


@pytest.mark.parametrize(("file", "test"), sorted(recipes.tests_named()))
def test_every_test_exists(file: str, test: str) -> None:
    """In the file that the page says."""
    assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.title)
def test_a_recipe_is_short(recipe: recipes.Recipe) -> None:
    """At most four source files, each step with its file, in order, and a test that is named."""
    assert 0 < len(set(recipe.sources)) <= SOURCES_MAX
    assert [step.number for step in recipe.steps] == list(range(1, len(recipe.steps) + 1))
    assert all(step.files for step in recipe.steps)
    assert "`tests/" in recipe.text
    assert {number for number, _ in recipe.forgotten} <= {step.number for step in recipe.steps}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which every recipe was followed."""
    return recipes.followed(tmp_path_factory.mktemp("whole") / "tree")


def expected() -> list[str]:
    """The tests that notice what is left out."""
    noticed = [
        test
        for recipe in RECIPES
        for number, test in recipe.forgotten
        if (recipe.title, number) in LEFT_OUT
    ]
    assert len(noticed) == len(LEFT_OUT)
    return sorted(set(noticed))


def outcomes(tree: Path) -> dict[str, str]:
    """PASSED or FAILED by test, of those that `expected` names, run in a copy."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", *expected()],
        cwd=tree,
        env=recipes.inside(tree),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    received = re.findall(r"^(PASSED|FAILED) (\S+)", ran.stdout, re.MULTILINE)
    return {test: outcome for outcome, test in received}


def test_what_the_page_names_passes_when_nothing_is_left_out(whole: Path) -> None:
    """Every test that notices something missing is content with the whole."""
    assert outcomes(whole) == dict.fromkeys(expected(), "PASSED")


def test_what_the_page_names_fails_when_a_step_is_left_out(tmp_path: Path) -> None:
    """Each of them, by the name that stands behind its step."""
    tree = recipes.followed(tmp_path / "tree", LEFT_OUT)
    assert outcomes(tree) == dict.fromkeys(expected(), "FAILED")


def test_followed_to_the_end_everything_works(
    whole: Path, run_servers: RunServers, worker_number: int, fresh_valkey_url: str
) -> None:
    """The new query, route, event, error, setting, job and metric, in a service of the copy."""
    name = f"gw{worker_number}_followed"
    run_servers.psql(f'create database "{run_servers.prefix}_{name}" owner hx_owner')
    try:
        database = run_servers.database(name)
        servers = (database.dsn, database.owner_dsn, fresh_valkey_url)
        tried = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.docs.followed", *servers],
            cwd=whole,
            env=recipes.inside(whole),
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )
    finally:
        run_servers.drop(name)
    assert tried.returncode == 0, tried.stdout + tried.stderr
