"""The embedded PostgreSQL: a cluster with the project's roles and database, on a Unix socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from deploy.binaries import Binaries
from deploy.failures import EmbeddedError
from deploy.folders import Folders, Passwords
from deploy.identity import Identity, clean_environment
from deploy.supervised import Supervised, end_marked, last_words, marked

DATABASE = "hustlexp"
PORT = 5432  # only the name of the socket file depends on it: nothing listens on TCP

# Sane for a laptop with two cores; a production server is configured by its operator.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "dynamic_shared_memory_type": "mmap",  # containers give /dev/shm 64 MB
    "io_method": "sync",  # no extra worker processes
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "random_page_cost": "1.1",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # refusals are normal here and their statements private
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
# For tests that never kill the server: a crash may then lose the cluster.
NOT_DURABLE: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
}

ROLES = """
select format('create role %I', name) from unnest(array['hx_owner', 'hx_app', 'hx_ai',
    'hx_readonly']) as name where to_regrole(name) is null \\gexec
alter role hx_owner login password :'owner';
alter role hx_app login password :'app';
select 'create database hustlexp owner hx_owner'
    where not exists (select from pg_database where datname = 'hustlexp') \\gexec
revoke all on database hustlexp from public;
grant hx_app, hx_ai, hx_readonly to hx_owner;
grant connect on database hustlexp to hx_app, hx_ai, hx_readonly;
"""


def dsn(folders: Folders, user: str, password: str, database: str = DATABASE) -> str:
    """Returns a URI that asyncpg and libpq both read; host and port name the socket file."""
    host = quote(str(folders.sockets), safe="/")
    return f"postgresql://{user}:{password}@/{database}?host={host}&port={PORT}"


async def prepare(
    folders: Folders, binaries: Binaries, identity: Identity, passwords: Passwords
) -> None:
    """Initialises the cluster at the first start; an interrupted start leaves no half of one.

    Raises EmbeddedError for a cluster of another PostgreSQL, which this one cannot read.
    """
    if folders.cluster.exists():
        await _demand_own_version(folders, binaries)
        return
    draft = folders.servers / "postgres.draft"
    shutil.rmtree(draft, ignore_errors=True)
    secret = folders.sockets / "superuser.draft"
    _write_for(identity, secret, passwords.superuser)
    command = [
        binaries.postgres("initdb"),
        f"--pgdata={draft}",
        "--username=postgres",
        "--encoding=UTF8",
        "--locale=C",
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
        "--no-instructions",
        "--no-sync",  # the server syncs what it writes from here on
    ]
    log = folders.log("initdb")
    with log.open("wb") as output:
        process = identity.spawn(command, output=output.fileno())
        status = await asyncio.to_thread(process.wait)
    secret.unlink()
    if status != 0:
        raise EmbeddedError(f"initdb failed: {last_words(log)}")
    draft.rename(folders.cluster)


async def _demand_own_version(folders: Folders, binaries: Binaries) -> None:
    process = await asyncio.create_subprocess_exec(
        binaries.postgres("postgres"), "--version", stdout=subprocess.PIPE
    )
    answer, _ = await process.communicate()
    ours = answer.decode().split()[-1]
    with suppress(FileNotFoundError):  # then it is damaged, and the server says how
        theirs = (folders.cluster / "PG_VERSION").read_text().strip()
        if theirs != ours.partition(".")[0]:
            raise EmbeddedError(
                f"{folders.cluster} was made by PostgreSQL {theirs}, and this is {ours}: "
                "remove the data folder, or name another."
            )


async def create_roles(folders: Folders, binaries: Binaries, passwords: Passwords) -> None:
    """Creates missing roles and the database; idempotent, run at each start."""
    # By standard input and environment: everyone can read the arguments of a process.
    script = f"\\set owner {passwords.owner}\n\\set app {passwords.app}\n{ROLES}"
    process = await asyncio.create_subprocess_exec(
        binaries.postgres("psql"),
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        dsn(folders, "postgres", "", "postgres"),
        env={**clean_environment(), "PGPASSWORD": passwords.superuser},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, errors = await process.communicate(script.encode())
    if process.returncode != 0:
        raise EmbeddedError(f"The roles could not be created: {errors.decode().strip()}")


def server(
    folders: Folders, binaries: Binaries, identity: Identity, *, durable: bool
) -> Supervised:
    """Returns the server as a supervised process."""
    log = folders.log("postgres")
    settings = {
        **SETTINGS,
        **({} if durable else NOT_DURABLE),
        "unix_socket_directories": str(folders.sockets),
        "cluster_name": folders.mark,
    }
    command = [
        binaries.postgres("postgres"),
        "-D",
        str(folders.cluster),
        *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
    ]

    def spawn() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return identity.spawn(command, output=output.fileno())

    def twin() -> psutil.Process | None:
        left = marked(folders.mark, "postgres")
        return next((process for process, words in left if words == command), None)

    async def sweep(first: signal.Signals) -> None:
        await end_marked(folders.mark, "postgres", first)
        _forget_recycled_pid(folders)

    return Supervised("PostgreSQL", spawn, _ready_check(folders), twin, sweep, signal.SIGINT, log)


def _ready_check(folders: Folders) -> Callable[[int], bool]:
    pid_file = folders.cluster / "postmaster.pid"

    def is_ready(pid: int) -> bool:
        # Line 1 is the pid, line 8 the state: what pg_ctl reads as well.
        try:
            lines = pid_file.read_text().split("\n")
        except OSError:
            return False
        return lines[0] == str(pid) and len(lines) > 7 and lines[7].strip() == "ready"

    return is_ready


def _forget_recycled_pid(folders: Folders) -> None:
    """Removes a dead server's pid file, whose pid another program may have by now.

    The sweep before has made sure that no process of this cluster lives, so PostgreSQL's own
    guard against two servers on one cluster is not weakened.
    """
    (folders.cluster / "postmaster.pid").unlink(missing_ok=True)
    socket = folders.sockets / f".s.PGSQL.{PORT}"
    socket.unlink(missing_ok=True)
    socket.with_name(f"{socket.name}.lock").unlink(missing_ok=True)


def _write_for(identity: Identity, path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    if identity.user_id is not None:
        os.chown(path, identity.user_id, -1)
