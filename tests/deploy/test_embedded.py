"""The launcher on real servers: strange folders, strange locales, root or not, and sudden deaths."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from deploy import identity
from deploy.binaries import find_binaries
from deploy.embedded import Servers, embedded_servers
from deploy.failures import EmbeddedError
from deploy.folders import open_folders
from tests.support.paths import ROOT

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

LAUNCHER = """
import asyncio, sys
from pathlib import Path
from deploy.embedded import embedded_servers
from gateway.server.shutdown import run

async def main(stop):
    async with embedded_servers(Path(sys.argv[1])) as servers:
        print(servers.postgres_dsn, servers.redis_url, flush=True)
        await asyncio.Event().wait()

sys.exit(run(main))
"""

# This interpreter may be closed to others, so everything is imported before root is left behind.
ORDINARY = """
import asyncio, concurrent.futures.thread, encodings.idna, os, subprocess, sys
from pathlib import Path
from deploy import embedded
from deploy.binaries import find_binaries

home = Path(sys.argv[1])
embedded.find_binaries = lambda found=find_binaries().copied_to(home): found
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))

async def main():
    async with embedded.embedded_servers(home / "data", durable=False):
        print((home / "data" / "postgres" / "postmaster.pid").stat().st_uid, "up")

asyncio.run(main())
"""


@pytest.fixture
def new_folder(run_folder: Path) -> Iterator[Path]:
    """A data folder that no start has seen, and that ends with nothing of its own running."""
    path = run_folder / "new"
    yield path
    assert not pids(path)


@pytest.fixture
def folder(prepared_data_dir: Path) -> Iterator[Path]:
    """A data folder as a first start leaves it, with the same end."""
    yield prepared_data_dir
    assert not pids(prepared_data_dir)


def pids(data_dir: Path) -> list[int]:
    """The processes of the servers of one data folder."""
    if not data_dir.exists():
        return []
    mark = open_folders(data_dir, identity.caller()).mark
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(mark in word for word in process.info["cmdline"] or [])
    ]


def pid_of(data_dir: Path, program: str) -> int:
    """The main process of one server: the one with the launcher's command line."""
    folders = open_folders(data_dir, identity.caller())
    if program == "postgres":
        return int((folders.cluster / "postmaster.pid").read_text().split()[0])
    (found,) = (p for p in pids(data_dir) if "valkey-server" in psutil.Process(p).cmdline()[0])
    return found


async def answers(servers: Servers) -> bool:
    """Both servers do what they are for."""
    connection = await asyncpg.connect(servers.postgres_dsn)
    try:
        user = await connection.fetchval("select current_user")
    finally:
        await connection.close()
    with redis.Redis.from_url(servers.redis_url) as client:
        return bool(user == "hx_app" and client.ping())


async def eventually_answers(servers: Servers, within_s: float) -> float:
    """Seconds until both servers answer again."""
    began = time.monotonic()
    while True:
        try:
            assert await answers(servers)
            return time.monotonic() - began
        except (OSError, asyncpg.PostgresError, redis.RedisError):
            assert time.monotonic() - began < within_s
            await asyncio.sleep(0.02)


@asynccontextmanager
async def launcher(data_dir: Path) -> AsyncIterator[tuple[subprocess.Popen[str], Servers]]:
    """The launcher as a process of its own, so that it can be killed."""
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(data_dir)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        dsn, url = line.split()
        try:
            yield process, Servers(dsn, dsn, url)
        finally:
            process.kill()


class TestStart:
    """What a start must cope with."""

    async def test_the_three_logins_have_their_roles_and_libpq_reads_the_dsn(
        self, new_folder: Path
    ) -> None:
        """hx_app, hx_owner and the superuser log in; psql takes the same text as asyncpg."""
        async with embedded_servers(new_folder, durable=False) as servers:
            for dsn, user in (
                (servers.postgres_dsn, "hx_app"),
                (servers.postgres_owner_dsn, "hx_owner"),
                (servers.postgres_superuser_dsn, "postgres"),
            ):
                assert dsn is not None
                psql = find_binaries().postgres("psql")
                received = subprocess.run(
                    [psql, "-XAtc", "select current_user", dsn],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                assert received.stdout.strip() == user
            assert await answers(servers)

    async def test_a_wrong_password_is_refused(self, folder: Path) -> None:
        """The socket alone opens nothing, neither PostgreSQL nor Valkey."""
        async with embedded_servers(folder, durable=False) as servers:
            password = servers.postgres_dsn.split(":")[2].split("@")[0]
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(servers.postgres_dsn.replace(password, "wrong"))
            with (
                redis.Redis.from_url("unix://" + servers.redis_url.split("@")[1]) as client,
                pytest.raises(redis.AuthenticationError),
            ):
                client.ping()

    @pytest.mark.parametrize("lang", [None, "xx_XX"])
    async def test_a_long_folder_with_a_space_and_any_locale_will_do(
        self,
        run_folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        lang: str | None,
    ) -> None:
        """120 characters and a space; LANG unset or unknown; text is UTF-8 all the same."""
        for name in ("LANG", "LC_ALL", "LC_CTYPE"):
            monkeypatch.delenv(name, raising=False)
            if lang is not None:
                monkeypatch.setenv(name, lang)
        monkeypatch.setenv("PGHOST", "nowhere.invalid")
        data_dir = run_folder / f"a folder {'x' * 111}"
        async with embedded_servers(data_dir, durable=False) as servers:
            assert await answers(servers)
            connection = await asyncpg.connect(servers.postgres_dsn)
            assert await connection.fetchval("show server_encoding") == "UTF8"
            assert await connection.fetchval("select lower('ÄB') || '€'") == "Äb€"
            await connection.close()

    async def test_secrets_and_sockets_are_closed_to_others_and_parents_stay_as_they_were(
        self, run_folder: Path
    ) -> None:
        """Passwords 0600, folders 0700, and no chmod above the data folder."""
        parent = run_folder / "parent"
        parent.mkdir(mode=0o751)
        async with embedded_servers(parent / "data", durable=False):
            folders = open_folders(parent / "data", identity.caller())
            assert _mode(parent) == 0o751
            assert _mode(folders.data) == 0o700
            assert _mode(folders.sockets) == 0o700
            assert _mode(folders.data / "passwords.json") == 0o600

    async def test_a_second_start_is_quick_and_finds_the_data(self, new_folder: Path) -> None:
        """No second initdb: passwords and tables are those of the first start."""
        async with embedded_servers(new_folder) as first:
            owner = await asyncpg.connect(first.postgres_owner_dsn)
            await owner.execute("create table kept as select 1 as one")
            await owner.close()
        began = time.monotonic()
        async with embedded_servers(new_folder) as second:
            assert time.monotonic() - began < 5
            assert second == first
            owner = await asyncpg.connect(second.postgres_owner_dsn)
            assert await owner.fetchval("select one from kept") == 1
            await owner.close()

    async def test_two_launchers_do_not_share_a_folder(self, folder: Path) -> None:
        """The second one is told who has it."""
        async with embedded_servers(folder, durable=False):
            with pytest.raises(EmbeddedError, match=f"in use by process {os.getpid()}"):
                async with embedded_servers(folder):
                    pass

    async def test_given_servers_are_used_and_nothing_is_started(self, new_folder: Path) -> None:
        """With both addresses given the folder is not even made."""
        async with embedded_servers(
            new_folder, postgres_dsn="postgresql://a", redis_url="b"
        ) as given:
            assert given == Servers("postgresql://a", "postgresql://a", "b")
        assert not new_folder.exists()

    async def test_one_given_server_leaves_the_other_to_us(self, new_folder: Path) -> None:
        """Only Valkey starts when PostgreSQL is somebody else's."""
        async with embedded_servers(
            new_folder, postgres_dsn="postgresql://a", postgres_owner_dsn="postgresql://b"
        ) as servers:
            assert servers.postgres_owner_dsn == "postgresql://b"
            with redis.Redis.from_url(servers.redis_url) as client:
                assert client.ping()
            assert not (new_folder / "postgres").exists()


class TestIdentity:
    """Under whom the servers run."""

    @as_root
    @pytest.mark.parametrize("choose", [identity.in_user_namespace, identity.as_unprivileged_user])
    async def test_root_runs_them_as_somebody_else(
        self, new_folder: Path, choose: Callable[[], identity.Identity | None]
    ) -> None:
        """By user namespace or by user id: neither server process is root to itself."""
        chosen = choose()
        if chosen is None:
            pytest.skip("this machine does not allow it")
        try:
            async with embedded_servers(new_folder, durable=False, identity=chosen) as servers:
                assert await answers(servers)
                if chosen.user_id is not None:
                    users = {psutil.Process(pid).uids().real for pid in pids(new_folder)}
                    assert users == {chosen.user_id}
        finally:
            if chosen.user_id is not None:
                shutil.rmtree(open_folders(new_folder, chosen).servers.parent)

    @as_root
    def test_an_ordinary_user_needs_nothing_special(self) -> None:
        """A process that became `nobody` starts both servers as itself."""
        nobody = pwd.getpwnam("nobody")
        # Not pytest's own folder, which is closed to others.
        home = Path(tempfile.mkdtemp(prefix="hx-test-", dir="/tmp"))
        try:
            find_binaries().copied_to(home)
            os.chown(home, nobody.pw_uid, nobody.pw_gid)
            received = subprocess.run(
                [sys.executable, "-c", ORDINARY, str(home), str(nobody.pw_uid)],
                check=False,
                cwd=ROOT,
                capture_output=True,
                text=True,
            )
            assert received.stdout.split() == [str(nobody.pw_uid), "up"], received.stderr
        finally:
            subprocess.run(["rm", "-rf", str(home)], check=True)


class TestDeath:
    """What a kill -9 leaves, and how it heals."""

    @pytest.mark.parametrize("program", ["postgres", "valkey"])
    async def test_a_killed_server_comes_back_on_the_same_address(
        self, folder: Path, program: str
    ) -> None:
        """The supervisor starts it again within seconds, with what was committed."""
        async with embedded_servers(folder) as servers:
            connection = await asyncpg.connect(servers.postgres_owner_dsn)
            await connection.execute("create table kept as select 1 as one")
            os.kill(pid_of(folder, program), signal.SIGKILL)
            await asyncio.sleep(0.05)
            await eventually_answers(servers, within_s=10)
            await connection.close()
            connection = await asyncpg.connect(servers.postgres_owner_dsn)
            assert await connection.fetchval("select one from kept") == 1
            await connection.close()

    async def test_a_killed_launcher_leaves_servers_that_the_next_one_takes_over(
        self, folder: Path
    ) -> None:
        """Even Valkey forgets nothing; the end stops the adopted servers too."""
        async with launcher(folder) as (process, servers):
            with redis.Redis.from_url(servers.redis_url) as client:
                client.set("kept", 1)
            process.kill()
            process.wait()
        orphans = pid_of(folder, "postgres"), pid_of(folder, "valkey")
        async with embedded_servers(folder) as again:
            assert again.redis_url == servers.redis_url
            assert await answers(again)
            assert (pid_of(folder, "postgres"), pid_of(folder, "valkey")) == orphans
            with redis.Redis.from_url(again.redis_url) as client:
                assert client.get("kept") == b"1"

    async def test_orphans_that_run_by_other_settings_are_replaced(self, folder: Path) -> None:
        """Taken over is only what would be started in just the same way."""
        async with launcher(folder) as (process, _):
            process.kill()
            process.wait()
        orphan = pid_of(folder, "postgres")
        async with embedded_servers(folder, durable=False) as again:
            assert await answers(again)
            assert pid_of(folder, "postgres") != orphan

    async def test_an_adopted_server_is_watched_like_any_other(self, folder: Path) -> None:
        """Killed after it was taken over, it comes back."""
        async with launcher(folder) as (process, _):
            process.kill()
            process.wait()
        async with embedded_servers(folder) as again:
            os.kill(pid_of(folder, "postgres"), signal.SIGKILL)
            await asyncio.sleep(0.05)
            await eventually_answers(again, within_s=10)

    async def test_stale_pid_and_socket_files_stop_nobody(self, folder: Path) -> None:
        """A pid file may name a process that is something else by now: here, this test."""
        async with embedded_servers(folder):
            folders = open_folders(folder, identity.caller())
            lines = (folders.cluster / "postmaster.pid").read_text().split("\n")
        (folders.cluster / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
        (folders.sockets / "valkey.sock").touch()
        (folders.sockets / ".s.PGSQL.5432").touch()
        async with embedded_servers(folder) as servers:
            assert await answers(servers)

    async def test_an_interrupted_first_start_leaves_no_half_cluster(
        self, new_folder: Path
    ) -> None:
        """A draft of a cluster is thrown away by the next start."""
        new_folder.mkdir(parents=True)
        (new_folder / "postgres.draft").mkdir()
        (new_folder / "postgres.draft" / "PG_VERSION").write_text("18")
        async with embedded_servers(new_folder, durable=False) as servers:
            assert await answers(servers)

    async def test_a_cluster_of_another_postgresql_is_one_sentence(self, folder: Path) -> None:
        """Before anything is started; both versions are named."""
        cluster = open_folders(folder, identity.caller()).cluster
        (cluster / "PG_VERSION").write_text("12\n")
        with pytest.raises(EmbeddedError, match=r"was made by PostgreSQL 12, and this is \d+\.\d"):
            async with embedded_servers(folder):
                pass

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    async def test_a_signal_stops_the_servers_too(
        self, folder: Path, number: signal.Signals
    ) -> None:
        """Ctrl-C and a polite kill end with exit code 0 and no process left."""
        async with launcher(folder) as (process, _):
            process.send_signal(number)
            assert await asyncio.to_thread(process.wait) == 0
            assert not pids(folder)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
