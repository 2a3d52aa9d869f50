"""A machine for docs/production.md: real servers in a folder, under the names that Debian gives them.

What the page does as root to a machine of its own is played by small programs in front of the PATH:
they start the same servers in this folder, as an unprivileged user where the tests run as root.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

import psutil

from deploy.binaries import find_binaries
from deploy.identity import choose_identity, clean_environment
from tests.support.paths import ROOT
from tests.support.programs import program

END_S: Final = 5
PORTS: Final = (
    *("PORT", "METRICS_PORT", "HTTPS_PORT", "POSTGRES_PORT", "RESTORED_PORT"),
    *("PGBOUNCER_PORT", "REDIS_PORT"),
)


class Machine:
    """A folder with `etc`, `opt` and `var`, a PATH, and servers that end with the block."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hx-machine-"))
        self.folder.chmod(0o755)
        self.ports = _free_ports()
        self._end = ExitStack()
        self._identity = choose_identity()

    def __enter__(self) -> Self:
        self._end.callback(shutil.rmtree, self.folder)
        self._end.callback(self._kill)
        try:
            (self.folder / "home").mkdir(mode=0)
            for name in ("bin", "conf.d", "pgbouncer", "run", "systemd", "log"):
                self._folder(name)
            self._make_cluster()
            self._write_server_settings()
            self._write_programs()
        except BaseException:
            self._end.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    # ── What the page's variables become ─────────────────────────────────────────────────────────

    def variables(self) -> dict[str, str]:
        """The first block of the page, as its reader would edit it here."""
        at = self.folder
        return {
            "SOURCE": str(ROOT),
            "ROOT": str(at / "opt"),
            "CONF": str(at / "etc"),
            "STATE": str(at / "state"),
            "LOG": str(at / "log" / "hustlexp.log"),
            "BACKUPS": str(at / "backups"),
            "NGINX": str(at / "conf.d"),
            "PGBOUNCER": str(at / "pgbouncer"),
            "SYSTEMD": str(at / "systemd"),
        } | {name: str(port) for name, port in self.ports.items()}

    def places(self) -> dict[str, str]:
        """Places that the page names as Debian has them."""
        return {
            "/run/systemd/system": str(self.folder / "no-systemd"),
            "/var/log/postgresql/": f"{self.folder}/log/",
            "/var/run/postgresql/": f"{self.folder}/run/",
        }

    def environment(self) -> dict[str, str]:
        """The shell's: our programs first, PostgreSQL's socket, root's home, no setting of ours."""
        clean = {name: text for name, text in os.environ.items() if not name.startswith("HX_")}
        path = f"{self.folder / 'bin'}:{self._postgres_bin}:{clean['PATH']}"
        return clean | {
            "PATH": path,
            "PGHOST": str(self.folder / "run"),
            "HOME": str(self.folder / "home"),
        }

    def logs(self) -> str:
        """The last of what the servers wrote."""
        return "\n".join(
            f"── {path.name}\n{path.read_text()[-3000:]}" for path in self.folder.glob("log/*")
        )

    # ── Servers ──────────────────────────────────────────────────────────────────────────────────

    @property
    def _postgres_bin(self) -> Path:
        """Debian's PostgreSQL, or the one of the tests."""
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        return debian[0] if debian else find_binaries().postgres_bin

    def _folder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        self._hand_over(path)
        return path

    def _hand_over(self, path: Path) -> None:
        if self._identity.user_id is not None:
            os.chown(path, self._identity.user_id, self._identity.group_id or -1)

    @property
    def _drop(self) -> list[str]:
        """Words before a command that must not run as root."""
        found = self._identity
        if found.user_id is None:
            return list(found.prefix)
        ids = (f"--reuid={found.user_id}", f"--regid={found.group_id}", "--clear-groups")
        return [program("setpriv"), *ids, "--"]

    def _make_cluster(self) -> None:
        """One initdb; every cluster of the page is a copy of it."""
        subprocess.run(
            [
                *(
                    *self._drop,
                    str(self._postgres_bin / "initdb"),
                    "--no-sync",
                    "--username=postgres",
                ),
                *(
                    "--auth-local=trust",
                    "--auth-host=scram-sha-256",
                    "--locale=C",
                    "--encoding=UTF8",
                ),
                *("--pgdata", str(self._folder("empty"))),
            ],
            check=True,
            capture_output=True,
            cwd="/",
            env=clean_environment(),
        )

    def _write_server_settings(self) -> None:
        self._write(
            "run/redis.conf",
            f"port {self.ports['REDIS_PORT']}\nbind 127.0.0.1\ndir {self.folder}/run\n",
        )
        self._write(
            "nginx.conf",
            f"daemon on;\npid {self.folder}/run/nginx.pid;\nerror_log {self.folder}/log/nginx.log;\n"
            "events {}\nhttp {\naccess_log off;\n"
            + "".join(
                f"{kind}_temp_path {self.folder}/run/{kind};\n"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + f"include {self.folder}/conf.d/*.conf;\n}}\n",
        )

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        self._hand_over(path)

    def _write_programs(self) -> None:
        drop = " ".join(self._drop)
        cluster = (
            f'cp -a {self.folder}/empty "{self.folder}/$1"\n'
            f'{drop} {self._postgres_bin}/pg_ctl --silent --wait --pgdata "{self.folder}/$1" '
            f"--log {self.folder}/log/postgres.log --options "
            f'"-c port=$2 -c unix_socket_directories={self.folder}/run -c listen_addresses=127.0.0.1'
            ' -c shared_buffers=32MB" start\n'
        )
        redis = shutil.which("redis-server") or str(find_binaries().valkey_server)
        if not shutil.which("redis-cli"):
            self._program("redis-cli", _REDIS_CLI, interpreter=sys.executable)
        self._program("apt-get", ":")
        self._program("adduser", ":")
        self._program("cluster", cluster)
        self._program("pg_createcluster", 'cluster "$5" "$2"')
        self._program(
            "runuser",
            f'[ "$2" != postgres ] || export PGUSER=postgres\nshift 3\ncd /\nexec {drop} "$@"',
        )
        self._program("setpriv", f'shift 3\nexec {drop} "$@"')
        owner = f"{self._identity.user_id}:{self._identity.group_id}"
        given = self._identity.user_id is not None
        self._program("chown", f'shift\nexec /bin/chown {owner} "$@"' if given else ":")
        self._program(
            "service",
            'case "$1 $2" in\n'
            f'"postgresql start") cluster first {self.ports["POSTGRES_PORT"]} ;;\n'
            f'"redis-server start") {drop} {redis} {self.folder}/run/redis.conf --daemonize yes '
            f"--pidfile {self.folder}/run/redis.pid >/dev/null\n"
            f"until redis-cli -p {self.ports['REDIS_PORT']} ping >/dev/null 2>&1; do sleep 0.05; done ;;\n"
            f'"nginx restart") {program("nginx")} -c {self.folder}/nginx.conf 2>{self.folder}/log/nginx.err ;;\n'
            f'"pgbouncer restart") {drop} {program("pgbouncer")} --daemon {self.folder}/pgbouncer/pgbouncer.ini ;;\n'
            "esac",
        )

    def _program(self, name: str, text: str, interpreter: str = "/bin/sh -eu") -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!{interpreter}\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def _kill(self) -> None:
        """Ends whatever wrote a file with its process id, and waits for it."""
        clusters = [(file, signal.SIGQUIT) for file in self.folder.glob("*/postmaster.pid")]
        others = [(file, signal.SIGTERM) for file in self.folder.glob("run/*.pid")]
        service = [(self.folder / "opt" / "pid", signal.SIGKILL)]
        ended = [_end(file, number) for file, number in service + others + clusters]
        psutil.wait_procs([process for process in ended if process], timeout=END_S)


_REDIS_CLI: Final = """
import sys, redis
print(redis.Redis(port=int(sys.argv[2])).execute_command(*sys.argv[3:]))
"""
"""`redis-cli -p PORT …`, for machines that have Valkey from the wheel alone."""


def edited(page: str, values: Mapping[str, str]) -> str:
    """The page's first block with other values; KeyError for one that it does not set."""
    for name, value in values.items():
        page, count = re.subn(
            rf"^{name}=.*$", f"{name}='{value}'", page, count=1, flags=re.MULTILINE
        )
        if not count:
            raise KeyError(name)
    return page


def _end(file: Path, number: int) -> psutil.Process | None:
    """Signals the process whose id a file holds; None where it is gone, or dead and not buried."""
    with suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
        process = psutil.Process(int(file.read_text().split()[0]))
        if process.status() != psutil.STATUS_ZOMBIE:
            process.send_signal(number)
            return process
    return None


def _free_ports() -> dict[str, int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        return {name: probe.getsockname()[1] for name, probe in zip(PORTS, probes, strict=True)}
