"""The one pair of servers of a test run, with a migrated template database to clone from."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil

from deploy import identity
from deploy.binaries import find_binaries
from deploy.embedded import embedded_servers
from deploy.folders import open_folders
from deploy.supervised import end_marked
from sql.migrate import migrate

WAIT_S = 60.0
RUN_PREFIX = "hx-run-"
QUICK_BYTES_MIN = 4 * 2**30


@dataclass(frozen=True)
class TestDatabase:
    """One clone of the template, by the DSN of each role."""

    __test__ = False

    dsn: str
    owner_dsn: str


@dataclass(frozen=True)
class RunServers:
    """What the workers of one run share."""

    dsn: str
    owner_dsn: str
    superuser_dsn: str
    redis_url: str
    prefix: str  # of every database of this run

    @property
    def template(self) -> str:
        """The migrated database that nobody connects to."""
        return f"{self.prefix}_template"

    def database(self, name: str) -> TestDatabase:
        """The DSNs of one database of this run."""
        return TestDatabase(
            with_role(with_database(self.dsn, f"{self.prefix}_{name}"), "hx_app"),
            with_database(self.owner_dsn, f"{self.prefix}_{name}"),
        )

    def clone(self, name: str, of: str = "template") -> TestDatabase:
        """Copies the template, or a database that nobody is connected to (about 50 ms)."""
        source = f"{self.prefix}_{of}"
        self.psql(f'create database "{self.prefix}_{name}" template "{source}" owner hx_owner')
        return self.database(name)

    def drop(self, name: str) -> None:
        """Removes a clone, whoever is still connected to it."""
        self.psql(f'drop database if exists "{self.prefix}_{name}" with (force)')

    def psql(self, statement: str, database: str = "") -> None:
        """Runs statements as superuser: without a loop of our own inside the tests' loop."""
        subprocess.run(
            [
                find_binaries().postgres("psql"),
                "--no-psqlrc",
                "--quiet",
                "--set=ON_ERROR_STOP=1",
                f"--command={statement}",
                with_database(self.superuser_dsn, database) if database else self.superuser_dsn,
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )


def with_database(dsn: str, name: str) -> str:
    """The same login on another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


def with_role(dsn: str, role: str) -> str:
    """The same DSN acting as `role`, whatever its login; asyncpg and libpq both read it."""
    parts = urlsplit(dsn)
    options = "&".join(filter(None, [parts.query, f"options=-crole%3D{role}"]))
    return urlunsplit(parts._replace(query=options))


class ServersOfRun:
    """Runs the servers on a thread of its own, from `start` to `stop`."""

    def __init__(self) -> None:
        # Taken away, so that a `hustlexp` that a test starts has servers of its own.
        self._given = {
            name: os.environ.pop(name) for name in list(os.environ) if name.startswith("HX_")
        }
        prefix = f"{RUN_PREFIX}{os.getpid()}-"
        self.file = Path(tempfile.mkdtemp(prefix=prefix, dir=quick_folder())) / "servers.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="servers of the run")

    def start(self) -> None:
        """Returns at once; `wait` tells when the servers are there."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the servers and removes their folder."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        subprocess.run(["rm", "-rf", str(self.file.parent)], check=True)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001
            # Told to every worker that waits; a thread has nobody to raise to.
            self.file.write_text(json.dumps({"failure": f"{type(error).__name__}: {error}"}))

    async def _serve(self) -> None:
        await _remove_killed_runs(self.file.parent.parent)
        async with embedded_servers(
            self.file.parent / "servers",
            postgres_dsn=self._given.get("HX_POSTGRES_DSN"),
            postgres_owner_dsn=self._given.get("HX_POSTGRES_OWNER_DSN"),
            redis_url=self._given.get("HX_REDIS_URL"),
            durable=False,
        ) as servers:
            run = RunServers(
                dsn=servers.postgres_dsn,
                owner_dsn=servers.postgres_owner_dsn,
                superuser_dsn=servers.postgres_superuser_dsn or servers.postgres_owner_dsn,
                redis_url=servers.redis_url,
                prefix=f"hx_test_{os.getpid()}",
            )
            run.psql(files("sql").joinpath("roles.sql").read_text(encoding="utf-8"))
            run.psql(f'create database "{run.template}" owner hx_owner')
            try:
                await migrate(with_database(run.owner_dsn, run.template))
                draft = self.file.with_suffix(".draft")
                draft.write_text(json.dumps(asdict(run)))
                draft.rename(self.file)
                await asyncio.to_thread(self._stop.wait)
            finally:
                run.drop("template")


async def _remove_killed_runs(folder: Path) -> None:
    """Ends the servers and removes the folders of runs that were killed by force."""
    for left in folder.glob(f"{RUN_PREFIX}*"):
        pid = left.name.removeprefix(RUN_PREFIX).split("-")[0]
        if left.stat().st_uid != os.geteuid() or not pid.isdigit() or psutil.pid_exists(int(pid)):
            continue
        for passwords in left.rglob("passwords.json"):
            mark = open_folders(passwords.parent, identity.caller()).mark
            await end_marked(mark, "postgres", signal.SIGKILL)
            await end_marked(mark, "valkey-server", signal.SIGKILL)
        shutil.rmtree(left, ignore_errors=True)


def quick_folder() -> Path | None:
    """Memory instead of a disk, where there is plenty: clusters are copied all the time."""
    memory = Path("/dev/shm")  # noqa: S108  # only a random folder below it is used
    if not os.access(memory, os.W_OK):
        return None
    return memory if shutil.disk_usage(memory).free > QUICK_BYTES_MIN else None


def wait_for(file: Path) -> RunServers:
    """The servers of this run, as soon as its controller has started them."""
    deadline = time.monotonic() + WAIT_S
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the servers of this test run did not start")
        time.sleep(0.02)
    found = json.loads(file.read_text())
    if "failure" in found:
        raise RuntimeError(f"the servers of this test run did not start: {found['failure']}")
    return RunServers(**found)


def copy_prepared(shared: Path, data_dir: Path) -> None:
    """Fills `data_dir` as a first start leaves it: initdb costs a second, copying a tenth.

    The first caller of a run prepares the folder in `shared`; the others wait for it.
    """
    prepared = shared / "prepared"
    with (shared / "prepared.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not prepared.exists():
            # On a thread of its own: the caller may be inside a running loop.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, _first_start(shared / "draft")).result()
            (shared / "draft").rename(prepared)
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(prepared), str(data_dir)], check=True)


async def _first_start(data_dir: Path) -> None:
    async with embedded_servers(data_dir, durable=False) as servers:
        await migrate(servers.postgres_owner_dsn)


@contextmanager
def clone_of(run: RunServers, name: str, of: str = "template") -> Iterator[TestDatabase]:
    """One clone for the length of a block."""
    database = run.clone(name, of)
    try:
        yield database
    finally:
        run.drop(name)
