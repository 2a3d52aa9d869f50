"""Exit codes of every command: as its own `--help` says, with one plain sentence where it failed."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from gateway import cli
from gateway.server.cli_errors import in_words
from tests.gateway.cli.test_cli import Hustlexp, Said, hustlexp
from tests.support.development import HUSTLEXP

__all__ = ["hustlexp"]

AWAY = {
    "HX_LOG_FORMAT": "console",
    "HX_POSTGRES_DSN": "postgresql://u@127.0.0.1:1/x",
    "HX_REDIS_URL": "redis://127.0.0.1:1",
    "HX_DEVELOPMENT": "true",
}
ID = "00000000-0000-4000-8000-000000000000"
WORDS: dict[str, list[str]] = {
    "dev": ["--data-dir", "FILE"],
    "serve": [],
    "migrate": [],
    "seed": [],
    "token": ["--role", "poster"],
    "clock": ["advance", "1s"],
    "explain-offer": [ID, ID],
    "reconcile": [],
    "invariants": ["verify"],
    "doctor": [],
    "config": [],
    "simulate": ["--url", "http://127.0.0.1:1"],
}
"""Every command with words that are right."""


def apart(*words: str, **environ: str) -> Said:
    """The same in a process of its own, which a command that listens to signals needs."""
    received = subprocess.run(
        [*HUSTLEXP, *words],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return Said(received.returncode, received.stdout, received.stderr)


def documented(hustlexp: Hustlexp, name: str) -> dict[int, str]:
    """The codes that `--help` lists."""
    words = [
        name,
        *(["advance"] if name == "clock" else ["verify"] if name == "invariants" else []),
    ]
    received = " ".join(hustlexp(*words, "--help").out.split())
    codes = received.partition("Exit codes: ")[2].rstrip(".")
    return {int(code): text for code, _, text in (c.partition(" ") for c in codes.split("; "))}


def test_every_command_is_tried_here() -> None:
    """One that is added has to be, too."""
    assert {*cli.COMMANDS, "simulate"} == WORDS.keys()


@pytest.mark.parametrize("name", WORDS)
def test_servers_that_are_away_end_in_a_documented_code_and_one_sentence(
    hustlexp: Hustlexp, tmp_path: Path, name: str
) -> None:
    """1, where it says that it was not possible; 2 of a command whose 1 is an answer; no traceback."""
    (tmp_path / "file").touch()
    words = [str(tmp_path / "file") if word == "FILE" else word for word in WORDS[name]]
    run = apart if name in ("dev", "serve", "simulate") else hustlexp
    said = run(name, *words, **AWAY, HX_DATA_DIR=str(tmp_path), HX_PORT="0")
    codes = documented(hustlexp, name)
    assert said.code == (0 if name == "config" else 2 if name == "invariants" else 1)
    assert said.code in codes
    assert "Errno" not in said.out + said.err
    assert said.err.count("\n") == (name not in ("config", "doctor")), said.err


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"HX_POSTGRES_DSN": "postgresql://[bad"},
        {"HX_REDIS_URL": "redis://h:99999"},
        {"HX_PORT": "web"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_setting_that_cannot_be_read_is_code_2_of_every_command(
    hustlexp: Hustlexp, tmp_path: Path, name: str, wrong: dict[str, str]
) -> None:
    """Named in one sentence."""
    words = [str(tmp_path) if word == "FILE" else word for word in WORDS[name]]
    said = hustlexp(name, *words, **AWAY | wrong)
    assert said.code == 2
    assert "wrong setting" in documented(hustlexp, name)[2]
    assert said.err.startswith(f"hustlexp: {next(iter(wrong))}: ")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("name", WORDS)
def test_words_that_mean_nothing_are_code_2_of_every_command(hustlexp: Hustlexp, name: str) -> None:
    """An option that nobody knows."""
    said = hustlexp(name, *WORDS[name], "--nonsense")
    assert said.code == 2
    assert "wrong usage" in documented(hustlexp, name)[2]


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.EEXIST, "/x exists already and is no folder."),
        (errno.EACCES, "/x may not be read or written by this user."),
        (errno.EMFILE, "/x cannot be used: Too many open files."),
    ],
)
def test_what_the_system_refuses_is_a_sentence_without_its_number(number: int, why: str) -> None:
    """Whatever file it was about."""
    assert in_words(OSError(number, os.strerror(number), "/x")) == why


def test_doctor_without_a_redis_address_says_so(hustlexp: Hustlexp) -> None:
    """A finding, no traceback."""
    said = hustlexp("doctor", HX_POSTGRES_DSN=AWAY["HX_POSTGRES_DSN"])
    assert said.code == 1
    assert "WRONG Redis: HX_REDIS_URL is unset" in said.out


def test_an_address_of_no_service_is_code_2(hustlexp: Hustlexp) -> None:
    """`--url` without its scheme."""
    assert hustlexp("simulate", "--url", "localhost:8000", **AWAY).code == 2


def test_an_interrupted_command_ends_with_130_and_without_a_traceback() -> None:
    """A server that is asked and never answers: Ctrl-C."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        port = listener.getsockname()[1]
        command = subprocess.Popen(
            [*HUSTLEXP, "migrate"],
            env=os.environ | {"HX_POSTGRES_DSN": f"postgresql://u@127.0.0.1:{port}/x"},
            stderr=subprocess.PIPE,
            text=True,
        )
        with listener.accept()[0]:
            command.send_signal(signal.SIGINT)
            assert command.communicate(timeout=10)[1] == ""
        assert command.returncode == cli.INTERRUPTED


@pytest.mark.parametrize("name", ["serve", "reconcile"])
def test_without_stripes_sdk_its_setting_says_what_to_install(
    hustlexp: Hustlexp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """One sentence and code 2, before anything is asked."""
    wanted = {
        "HX_PAYMENTS": "stripe",
        "HX_STRIPE_KEY": "sk_test_x",
        "HX_STRIPE_WEBHOOK_SECRETS": "whsec_x",
        "HX_DATA_DIR": str(tmp_path),
    }
    monkeypatch.setitem(sys.modules, "stripe", None)
    said = hustlexp(name, **AWAY, **wanted)
    assert said.code == 2
    assert said.err.startswith("hustlexp: HX_PAYMENTS=stripe needs Stripe's SDK")
    assert "hustlexp-live[stripe]" in said.err
    assert said.err.count("\n") == 1


def test_without_stripes_sdk_everything_else_runs(tmp_path: Path) -> None:
    """The service comes as far as asking its database."""
    line = "import sys; sys.modules['stripe'] = None; from gateway.cli import main; main(['serve'])"
    received = subprocess.run(
        [HUSTLEXP[0], "-c", line],
        env=os.environ | AWAY | {"HX_DATA_DIR": str(tmp_path), "HX_PORT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (received.returncode, received.stderr) == (
        1,
        "hustlexp: PostgreSQL does not answer: Connection refused\n",
    )


def test_the_version_is_the_installed_one(hustlexp: Hustlexp) -> None:
    """As pip knows it."""
    said = hustlexp("--version")
    assert (said.code, said.out.strip()) == (0, f"hustlexp {version('hustlexp-live')}")
    assert re.search(r"\d+\.\d+\.\d+", said.out)
    assert "0.0.0" not in said.out
