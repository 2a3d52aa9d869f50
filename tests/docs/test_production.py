"""docs/production.md, pasted block after block into one shell on real servers."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys

import pytest

from gateway.settings.groups import Settings
from gateway.settings.loading import catalogue
from tests.docs.machine import Machine, edited
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "production.md").read_text()
SETTINGS = {item.name for item in catalogue(Settings)}
INSTALL = 'PYTHON=$PYTHON sh "$SOURCE/deploy/install.sh" "$RELEASE"'
WALK_S = 150


def blocks() -> list[str]:
    """What a reader pastes, in order."""
    return re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def script(machine: Machine) -> str:
    """All blocks as one shell reads them, each announced by its number."""
    text = "\n".join(f"echo; echo '== {number}'\n{block}" for number, block in enumerate(blocks()))
    text = edited(text, machine.variables())
    for place, here in machine.places().items():
        text = text.replace(place, here)
    return text


def walk(machine: Machine, text: str) -> list[str]:
    """What each block printed; the shell stops where a command fails, and so does the test."""
    shell = subprocess.Popen(
        ["sh", "-eu"],
        cwd=ROOT,
        env=machine.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = shell.communicate(f"{text}\nstop\n", timeout=WALK_S)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        out, _ = shell.communicate()
    if shell.returncode:
        pytest.fail(f"{out}\n{machine.logs()}")
    return re.split(r"\n== \d+\n", out, flags=re.MULTILINE)[1:]


def printed(said: list[str], words: str) -> str:
    """What those blocks printed that hold these words; a page that lost them fails here."""
    found = [out for block, out in zip(blocks(), said, strict=True) if words in block]
    assert found, words
    return "".join(found)


@pytest.mark.timeout(WALK_S + 20)
def test_from_an_empty_machine_to_a_paid_task_a_restored_backup_and_an_upgrade() -> None:
    """Only the installation is not repeated: the release is the one under test."""
    with Machine() as machine:
        text = script(machine)
        assert text.count(INSTALL) == 2
        said = walk(machine, text.replace(INSTALL, f'ln -s "{sys.prefix}" "$RELEASE"'))
        log = (machine.folder / "log" / "hustlexp.log").read_text().splitlines()
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in (machine.folder / "etc").rglob("*")
            if path.suffix in (".env", ".pem")
        }
    everything = "".join(said)
    assert not re.search(
        r"^(ERR|WRONG|hustlexp:|curl:|psql:|pg_restore:)", everything, re.MULTILINE
    )
    assert "applied: schema/kernel/tables.sql" in printed(
        said, "with migrate migrate\nwith service doctor"
    )
    assert "'state': 'RELEASED'" in printed(said, "/approve")
    assert printed(said, "invariants verify").count("checks agree.") == 2
    assert "WORKING" in printed(said, "$NEXT/start")
    assert "due:" not in printed(said, "--dry-run")
    assert "hustlexp_build_info{" in printed(said, "METRICS_PORT/metrics")
    assert sum(json.loads(line)["event"] == "serving" for line in log) == text.count("\nstart\n")
    assert {mode & 0o007 for name, mode in modes.items() if name != "certificate.pem"} == {0}
    assert modes["secrets.env"] == modes["migrate.env"] == modes["key.pem"] == 0o600


def test_every_block_is_complete() -> None:
    """No ellipsis to fill in, and what has to be edited stands in the first block."""
    first, *rest = blocks()
    for name in re.findall(r"^(\w+)=", first, re.MULTILINE):
        assert any(f"${name}" in block or f"${{{name}" in block for block in rest), name
    for block in rest:
        assert "…" not in block
        assert "example.com" not in block


def test_the_page_names_settings_and_files_that_exist() -> None:
    """Also those it does not run."""
    named = set(re.findall(r"\bHX_[A-Z_0-9]+\b", PAGE))
    assert named <= SETTINGS
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
