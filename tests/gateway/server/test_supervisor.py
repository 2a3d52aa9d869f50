"""`hustlexp serve --workers` as processes: what dies is started again, and what is told to end ends."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.gateway.cli.test_cli import Hustlexp, hustlexp
from tests.gateway.server.test_serve import NOWHERE, SERVE, Serving, environ, serving, settings

__all__ = ["environ", "hustlexp"]


@contextmanager
def workers(
    environ: dict[str, str], count: int = 2
) -> Iterator[tuple[Serving, dict[str, int], str]]:
    """A service of several processes: their numbers by name, and its URL."""
    with serving(environ, (*SERVE, "--workers", str(count))) as service:
        pids: dict[str, int] = {}
        while True:
            record = json.loads(service.until('"event"'))
            if record["event"] == "process_started":
                pids[record["process"]] = record["pid"]
            if record["event"] == "serving" and record["role"] == "all":
                break
        try:
            yield service, pids, record["url"]
        finally:
            for pid in pids.values():
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(holds: Callable[[], bool]) -> None:
    """Waits for it, and fails in the end."""
    for _ in range(1_000):
        if holds():
            return
        time.sleep(0.02)
    pytest.fail("it never held")


def test_what_dies_is_started_again_and_no_connection_is_lost(environ: dict[str, str]) -> None:
    """Each process in turn is killed; whoever connects meanwhile waits, and is answered."""
    with workers(environ) as (service, pids, url):
        assert sorted(pids) == ["broadcaster", "gateway-1", "gateway-2", "worker"]
        for name, pid in pids.items():
            os.kill(pid, signal.SIGKILL)
            died = service.record("process_died")
            assert (died["process"], died["code"]) == (name, -signal.SIGKILL)
            for _ in range(8):
                with httpx.Client(timeout=30) as client:
                    assert client.get(f"{url}/livez").status_code == 200
        again = [
            record["pid"]
            for line in service.end()
            if (record := json.loads(line))["event"] == "process_started"
        ]
        assert service.process.returncode == 0
        assert len(again) == 8
        assert not any(map(is_alive, again))


def test_nothing_outlives_a_parent_that_is_killed(environ: dict[str, str]) -> None:
    """Not even a worker, which nobody would miss."""
    with workers(environ, 1) as (service, pids, _):
        service.process.kill()
        service.process.wait()
        until(lambda: not any(map(is_alive, pids.values())))


def test_a_process_that_cannot_start_ends_all_with_its_reason(tmp_path: Path) -> None:
    """It would not start the next time either."""
    nowhere = settings(NOWHERE, "redis://127.0.0.1:1/0", tmp_path)
    with serving(nowhere, (*SERVE, "--workers", "2")) as service:
        lines = service.process.communicate(timeout=60)[1]
        assert service.process.returncode == 1
        assert "PostgreSQL does not answer" in lines


@pytest.mark.parametrize(
    "words",
    [
        ("--workers", "0"),
        ("--workers", "2", "--role", "gateway"),
        ("--workers", "2", "--fd", "3"),
        ("--role", "cook"),
    ],
    ids=" ".join,
)
def test_words_that_contradict_each_other_are_refused(
    hustlexp: Hustlexp, words: tuple[str, ...]
) -> None:
    """Before anything is opened."""
    assert hustlexp("serve", *words).code == 2


@pytest.mark.parametrize(
    ("fd", "why"), [(0, "is no socket"), (99, "cannot be used: Bad file descriptor")]
)
def test_a_socket_that_is_none_is_refused(environ: dict[str, str], fd: int, why: str) -> None:
    """With its number."""
    with serving(environ, (*SERVE, "--fd", str(fd))) as service:
        lines = service.process.communicate(timeout=60)[1]
        assert service.process.returncode == 1
        assert f"--fd {fd} {why}" in lines


def test_all_are_replaced_one_by_one_and_no_request_fails(environ: dict[str, str]) -> None:
    """SIGUSR2: a new release on the same schema, while connections come in without a pause."""
    with workers(environ, 1) as (service, pids, url), ThreadPoolExecutor(4) as threads:
        over = threading.Event()

        def ask() -> list[int]:
            statuses = []
            while not over.is_set():
                with httpx.Client(timeout=30) as client:
                    statuses.append(client.get(f"{url}/livez").status_code)
            return statuses

        asking = [threads.submit(ask) for _ in range(4)]
        service.process.send_signal(signal.SIGUSR2)
        service.record("processes_replaced")
        until(lambda: not any(map(is_alive, pids.values())))
        over.set()
        statuses = [status for each in asking for status in each.result()]
        assert len(statuses) > 20
        assert set(statuses) == {200}
        started = [line for line in service.lines if '"process_started"' in line]
        assert len(started) == 6
        assert "process_died" not in "".join(service.end())
