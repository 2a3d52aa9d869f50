"""`hustlexp serve` as a process: what it writes, and /metrics on a port of its own."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.server.serving import listen, serve
from gateway.server.shutdown import Stop
from gateway.settings.groups import Http, Settings
from tests.gateway.cli.test_cli import Hustlexp, hustlexp, run_sql
from tests.support.servers import TestDatabase, with_database

__all__ = ["hustlexp"]

NOWHERE = TestDatabase("postgresql://u@127.0.0.1:1/x", "")
SERVE = (sys.executable, "-W", "always", "-m", "gateway.cli", "serve")


def settings(database: TestDatabase, valkey_url: str, folder: Path) -> dict[str, str]:
    """A production service on the servers of this run."""
    issuer = {
        "issuer": "https://id.example.com",
        "audience": "hustlexp",
        "algorithms": ["HS256"],
        "key": "0" * 32,
    }
    return {
        "HX_PORT": "0",
        "HX_POSTGRES_DSN": database.dsn,
        "HX_REDIS_URL": valkey_url,
        "HX_CODE_KEY": "1" * 32,
        "HX_JWT_ISSUERS": json.dumps([issuer]),
        "HX_DATA_DIR": str(folder),
    }


def clean() -> dict[str, str]:
    """The environment without settings of ours."""
    return {name: text for name, text in os.environ.items() if not name.startswith("HX_")}


class Serving:
    """A running service and the lines it has written."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def until(self, word: str) -> str:
        """Reads on to a line that holds this word."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if word in line:
                return line
        pytest.fail("".join(self.lines))

    def record(self, event: str) -> dict[str, Any]:
        """The next record of this event."""
        record: dict[str, Any] = json.loads(self.until(f'"{event}"'))
        return record

    def end(self) -> list[str]:
        """Stops it, and answers with all that it wrote."""
        self.process.send_signal(signal.SIGTERM)
        self.lines += self.process.communicate(timeout=20)[1].splitlines(keepends=True)
        return self.lines


@contextmanager
def serving(environ: dict[str, str], command: Sequence[str] = SERVE) -> Iterator[Serving]:
    """The service while the block runs."""
    process = subprocess.Popen(
        command, env=clean() | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield Serving(process)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def environ(fresh_database: TestDatabase, fresh_valkey_url: str, tmp_path: Path) -> dict[str, str]:
    """What `serve` needs."""
    return settings(fresh_database, fresh_valkey_url, tmp_path)


def test_every_line_of_a_service_is_a_record(environ: dict[str, str]) -> None:
    """From the first to the last: its start, a request that is none, its end; /metrics stands apart."""
    with serving(environ | {"HX_METRICS_PORT": "0", "HX_VERIFY_S": "0"}) as service:
        apart = service.record("serving_metrics")
        started = service.record("serving")
        assert re.fullmatch(r"\d+\.\d+\.\d+", started["version"])
        with httpx.Client(base_url=started["url"]) as public:
            assert public.get("/metrics").status_code == 404
            assert "/metrics" not in public.get("/openapi.json").json()["paths"]
            assert public.get("/livez").status_code == 200
        port = int(started["url"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as unauthenticated:
            unauthenticated.sendall(b"\0\0\0 nothing\r\n\r\n")
            unauthenticated.recv(1000)
        with httpx.Client(base_url=f"http://127.0.0.1:{apart['port']}") as own:
            page = own.get("/metrics")
            assert own.get("/livez").status_code == 404
        assert page.headers["content-type"].startswith("text/plain")
        assert "hustlexp_build_info" in page.text
        assert "hustlexp_verify_interval_seconds 0.0\n" in page.text
        assert 'hustlexp_requests_total{method="GET",route="/livez"' in page.text
        lines = service.end()
        assert service.process.returncode == 0
    for line in lines:
        assert {"event", "level", "timestamp"} <= json.loads(line).keys(), line


def test_a_database_of_another_schema_is_not_served(
    environ: dict[str, str], fresh_database: TestDatabase
) -> None:
    """A sentence says which side is newer and what to do, and the exit code is 1."""
    run_sql(
        fresh_database.owner_dsn, "insert into schema_migrations values ('9999_later.sql', 'x')"
    )
    empty = with_database(environ["HX_POSTGRES_DSN"], "postgres")
    for dsn, side, remedy in (
        (empty, "The database is older than this release", "Run `hustlexp migrate`"),
        (fresh_database.dsn, "The database is newer than this release", "Serve with the release"),
    ):
        with serving(environ | {"HX_POSTGRES_DSN": dsn}) as service:
            reason = service.record("not_possible")["reason"]
            assert side in reason
            assert remedy in reason
            assert service.process.wait(20) == 1


def test_what_nobody_catches_is_a_record_too() -> None:
    """A warning, a line of another library, a thread, a destructor, a crash: by their texts, in order."""
    text = """
import logging, threading, warnings
from gateway.server.logs import own_standard_error
from gateway.settings.groups import LogSettings
own_standard_error(LogSettings())
class Doomed:
    def __del__(self): raise ValueError("destructor")
def fail(): raise ValueError("thread")
warnings.warn("old")
logging.getLogger("uvicorn.error").warning("from uvicorn")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Doomed()
raise ValueError("crash")
"""
    received = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, env=clean()
    )
    assert received.returncode == 1
    records = [json.loads(line) for line in received.stderr.splitlines()]
    for record, word in zip(
        records, ("old", "from uvicorn", "thread", "destructor", "crash"), strict=True
    ):
        assert word in json.dumps(record)


def test_the_console_form_stays_for_people(environ: dict[str, str]) -> None:
    """The same words, and no JSON."""
    with serving(environ | {"HX_LOG_FORMAT": "console"}) as service:
        line = service.until("serving")
        assert "url=" in line
        assert not line.startswith("{")
        service.end()


@pytest.mark.parametrize(
    ("words", "wrong", "reason"),
    [([], {"HX_PORT": "web"}, "HX_PORT"), (["--nonsense"], {}, "nonsense")],
    ids=["bad setting", "bad word"],
)
def test_what_a_service_is_told_wrong_is_one_record(
    hustlexp: Hustlexp, words: list[str], wrong: dict[str, str], reason: str
) -> None:
    """Exit code 2; a sentence where the log is for people."""
    said = hustlexp("serve", *words, **wrong)
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    assert reason in json.loads(line)["reason"]
    said = hustlexp("serve", *words, **wrong, HX_LOG_FORMAT="console")
    assert said.err.startswith("hustlexp: ")
    assert reason in said.err


@pytest.mark.parametrize(("taken", "reason"), [(True, "HX_METRICS_PORT"), (False, "PostgreSQL")])
def test_a_service_that_cannot_start_says_so_in_one_record(
    *, taken: bool, reason: str, tmp_path: Path
) -> None:
    """Its second port is taken, or there is no database."""
    environ = settings(NOWHERE, "redis://127.0.0.1:1", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        if taken:
            environ["HX_METRICS_PORT"] = str(other.getsockname()[1])
        received = refused([], environ)
    assert (received.returncode, received.stdout) == (1, ""), received.stderr
    (line,) = received.stderr.splitlines()
    assert reason in json.loads(line)["reason"]


def refused(words: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A service that does not come to serve."""
    return subprocess.run(
        [*SERVE, *words],
        env=clean() | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


async def test_a_service_freezes_its_heap_while_it_serves(
    database_dsn: str, owner_dsn: str, valkey_url: str, tmp_path: Path
) -> None:
    """No collection looks at what the start has made; the process has it back afterwards."""
    environ = settings(TestDatabase(database_dsn, owner_dsn), valkey_url, tmp_path)
    listener, stop, ready = listen(Http(port=0)), Stop(), asyncio.Event()
    running = asyncio.create_task(
        serve(Settings.load(environ), listener, lambda _: ready.set(), stop)
    )
    await asyncio.wait_for(ready.wait(), 20)
    while not gc.get_freeze_count():  # noqa: ASYNC110  # the schedule begins with its first turn
        await asyncio.sleep(0.01)
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < gc.get_freeze_count()
    stop.gently()
    await asyncio.wait_for(running, 20)
    listener.close()
    assert gc.get_freeze_count() == 0
