"""The user that the servers run as: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass

from deploy.failures import EmbeddedError

UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Identity:
    """How a server process drops root: by a command prefix, by a user id, or not at all."""

    prefix: tuple[str, ...] = ()
    # User and group to become before the program starts; None keeps the caller's.
    user_id: int | None = None
    group_id: int | None = None

    def spawn(
        self,
        command: list[str],
        *,
        stdin: int | None = subprocess.DEVNULL,
        output: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts `command` in its own session, so that Ctrl-C reaches only the launcher."""
        become: dict[str, object] = {}
        if self.user_id is not None:
            become = {"user": self.user_id, "group": self.group_id, "extra_groups": []}
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]  # **become
            [*self.prefix, *command],
            stdin=stdin,
            stdout=output,
            stderr=output,
            env=clean_environment(),
            cwd="/",
            start_new_session=True,
            umask=0o077,
            **become,
        )


def clean_environment() -> dict[str, str]:
    """Returns the servers' environment: without the caller's locale and PG* variables."""
    path = os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin")
    return {"PATH": path, "LC_ALL": "C", "TZ": "UTC"}


def caller() -> Identity:
    """Returns the identity of an ordinary user, who runs the servers as itself."""
    return Identity()


def in_user_namespace() -> Identity | None:
    """Returns an identity that is `nobody` in a user namespace; None if not allowed.

    Files stay root's.
    """
    unshare = shutil.which("unshare")
    user = _unprivileged_user()
    if unshare is None or user is None:
        return None
    prefix = (unshare, "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--")
    trial = subprocess.run(
        [*prefix, "true"], capture_output=True, check=False, env=clean_environment()
    )
    return Identity(prefix=prefix) if trial.returncode == 0 else None


def as_unprivileged_user() -> Identity | None:
    """Returns an identity that runs servers as `nobody`; None if the machine has no such user."""
    user = _unprivileged_user()
    return None if user is None else Identity(user_id=user.pw_uid, group_id=user.pw_gid)


def choose_identity() -> Identity:
    """Returns the least surprising way to run a server that must not be root (design §9)."""
    if os.geteuid() != 0:
        return caller()
    identity = in_user_namespace() or as_unprivileged_user()
    if identity is None:
        raise EmbeddedError(
            "PostgreSQL does not run as root, and this machine has neither user namespaces nor a "
            f"user {UNPRIVILEGED!r}: run this as an ordinary user, or set HX_POSTGRES_DSN and "
            "HX_REDIS_URL."
        )
    return identity


def _unprivileged_user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        return None
