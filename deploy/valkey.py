"""The embedded Valkey: no persistence, a password, a Unix socket in a private folder."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil

from deploy.binaries import Binaries
from deploy.folders import Folders, Passwords
from deploy.identity import Identity
from deploy.supervised import Supervised, end_marked, marked

LOGICAL_DATABASES = 64  # one for each test worker
ANSWER_LIMIT_S = 1.0


def url(folders: Folders, passwords: Passwords) -> str:
    """Returns a URL for redis-py; the password is hexadecimal, the path needs no quoting."""
    return f"unix://:{passwords.valkey}@{_socket(folders)}?db=0"


def server(
    folders: Folders, binaries: Binaries, identity: Identity, passwords: Passwords
) -> Supervised:
    """Returns the server as a supervised process; its presence data are rebuilt after a death."""
    log = folders.log("valkey")
    configuration = "\n".join(
        [
            "port 0",
            f"unixsocket {_socket(folders)}",
            "unixsocketperm 700",
            f"requirepass {passwords.valkey}",
            f"dir {folders.sockets}",
            f"databases {LOGICAL_DATABASES}",
            'save ""',
            "appendonly no",
            "daemonize no",
            "loglevel notice",
        ]
    )
    # In its title, since Valkey rewrites it: the mark of the folder, and of what it runs by.
    digest = hashlib.sha256(f"{binaries.valkey_server} {configuration}".encode()).hexdigest()[:12]
    title = ["--proc-title-template", f"{{title}} {folders.mark} {digest}"]

    def spawn() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process = identity.spawn(
                [str(binaries.valkey_server), "-", *title],
                stdin=subprocess.PIPE,
                output=output.fileno(),
            )
        # By standard input: everyone can read the arguments of a process.
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(configuration.encode())
        return process

    def twin() -> psutil.Process | None:
        left = marked(folders.mark, "valkey-server")
        return next((process for process, words in left if digest in words[0]), None)

    async def sweep(first: signal.Signals) -> None:
        await end_marked(folders.mark, "valkey-server", first)
        _socket(folders).unlink(missing_ok=True)

    return Supervised(
        "Valkey", spawn, _ready_check(folders, passwords), twin, sweep, signal.SIGTERM, log
    )


def _socket(folders: Folders) -> Path:
    return folders.sockets / "valkey.sock"


def _ready_check(folders: Folders, passwords: Passwords) -> Callable[[int], bool]:
    question = f"AUTH {passwords.valkey}\r\nPING\r\n".encode()

    def is_ready(_pid: int) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_LIMIT_S)
            try:
                connection.connect(str(_socket(folders)))
                connection.sendall(question)
                return connection.recv(64).startswith(b"+OK")
            except OSError:
                return False

    return is_ready
