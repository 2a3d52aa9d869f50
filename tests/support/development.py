"""A `hustlexp dev --json` of one's own, as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from deploy import identity
from deploy.folders import open_folders
from tests.support.paths import ROOT

HUSTLEXP = (sys.executable, "-m", "gateway.cli")


@dataclass
class Dev:
    """A `hustlexp dev --json` of this test."""

    process: subprocess.Popen[str]
    data_dir: Path
    line: dict[str, str]

    def servers(self) -> list[int]:
        """The processes of its embedded servers."""
        mark = open_folders(self.data_dir, identity.caller()).mark
        return [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if any(mark in word for word in process.info["cmdline"] or [])
        ]


def start_dev(data_dir: Path, *words: str) -> Dev:
    """Returns when the service has said that it is ready."""
    process = subprocess.Popen(
        [
            *(*HUSTLEXP, "dev", "--json", "--port", "0"),
            *("--data-dir", str(data_dir), *words),
        ],
        cwd=ROOT,
        env={name: text for name, text in os.environ.items() if not name.startswith("HX_")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        pytest.fail(process.communicate()[1])
    return Dev(process, data_dir, json.loads(line))
