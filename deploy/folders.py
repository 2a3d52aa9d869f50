"""Files, sockets and passwords of one pair of embedded servers."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.failures import EmbeddedError
from deploy.identity import Identity

# A socket's whole path must stay below 104 bytes (macOS; Linux has 108); the longest name is
# ".s.PGSQL.5432". Other characters would have to be quoted differently in every DSN dialect.
SOCKET_FOLDER = re.compile(r"[A-Za-z0-9_./-]{1,85}")


@dataclass(frozen=True)
class Passwords:
    """One random password per login, kept in a file that only its owner can read."""

    superuser: str = field(repr=False)
    owner: str = field(repr=False)
    app: str = field(repr=False)
    valkey: str = field(repr=False)


@dataclass(frozen=True)
class Folders:
    """The folders of one pair of servers; `mark` is in the process title of each of them."""

    data: Path  # what the caller named: passwords, logs, lock
    servers: Path  # the cluster; the same as `data` unless the servers run as another user
    sockets: Path  # 0700, short, owned by the user of the servers
    mark: str

    @property
    def cluster(self) -> Path:
        """Returns PostgreSQL's data directory."""
        return self.servers / "postgres"

    def tidy(self) -> None:
        """Removes a socket folder outside of the data folder, once it is empty."""
        if self.sockets.parent not in (self.data, self.servers.parent):
            with contextlib.suppress(OSError):
                self.sockets.rmdir()

    def log(self, server: str) -> Path:
        """Returns the file that takes the output of one server."""
        return self.data / f"{server}.log"


def open_folders(data_dir: Path, identity: Identity) -> Folders:
    """Creates missing folders as 0700 and returns them all; existing ones are left unchanged."""
    data = data_dir.expanduser().absolute()
    data.parent.mkdir(parents=True, exist_ok=True)
    data.mkdir(mode=0o700, exist_ok=True)
    mark = f"hx-{hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]}"
    if identity.user_id is not None:
        # Parents of the data folder may be closed to that user, and no parent is ever chmodded.
        private = _private_folder(f"{mark}-servers", mode=0o711)
        for name in ("servers", "sockets"):
            (private / name).mkdir(mode=0o700, exist_ok=True)
            os.chown(private / name, identity.user_id, -1)
        return Folders(data, private / "servers", private / "sockets", mark)
    sockets = data / "sockets"
    if SOCKET_FOLDER.fullmatch(str(sockets)):
        sockets.mkdir(mode=0o700, exist_ok=True)
    else:
        sockets = _private_folder(mark, mode=0o700)
    return Folders(data, data, sockets, mark)


def _private_folder(name: str, *, mode: int) -> Path:
    """Returns our folder below the temporary one; EmbeddedError if it is not ours alone."""
    base = Path(tempfile.gettempdir())
    if not SOCKET_FOLDER.fullmatch(str(base / name / "sockets")):
        base = Path("/tmp")  # noqa: S108  # checked below: ours, closed to others, no link
    folder = base / f"{name}-{os.geteuid()}"
    folder.mkdir(mode=mode, exist_ok=True)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & 0o066:
        raise EmbeddedError(
            f"{folder} belongs to someone else or is open to others: remove it, or set TMPDIR."
        )
    return folder


def load_passwords(data: Path) -> Passwords:
    """Returns the passwords, created at the first start in a file that is 0600 from its birth."""
    path = data / "passwords.json"
    if not path.exists():
        fresh = Passwords(*(secrets.token_hex(16) for _ in range(4)))
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(fresh), file)
        draft.rename(path)
    try:
        return Passwords(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise EmbeddedError(f"{path} is damaged: restore it, or remove {data}.") from error


@contextmanager
def sole_use(data: Path) -> Iterator[None]:
    """Holds the folder's lock; the kernel drops it when this process dies, however it dies."""
    with (data / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise EmbeddedError(
                f"{data} is in use by process {lock.read().strip() or 'unknown'}: stop that one, "
                "or name another --data-dir."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
