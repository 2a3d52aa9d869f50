"""The rights and settings that the service requires of a connection, and their check.

Both come with the connection's start-up packet, which a pooler may drop; and `hustlexp migrate`
writes them into the login's own defaults, which no pooler can (sql/service_login.py). So each new
connection is asked what it got, and one that is not as the rules need is not used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

ROLE: Final = "hx_app"
STATEMENT_TIMEOUT_MS: Final = 8_000
LOCK_TIMEOUT_MS: Final = 750
"""A longer wait for a row lock is answered with HX017 LOCK. So a lock held elsewhere delays no
request by more, even where all connections of the pool wait for it."""
IDLE_TIMEOUT_MS: Final = 10_000
_LONGEST_MS: Final[Mapping[str, int]] = {
    "statement_timeout": 60_000,
    "lock_timeout": 5_000,
    "idle_in_transaction_session_timeout": 60_000,
}
"""An operator may choose other time-outs for the login, up to these; 0 (none) never."""
_UTC: Final = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT", "UCT", "Etc/UCT", "Zulu", "Etc/Zulu"})


def defaults() -> dict[str, str]:
    """Returns the settings of every session, as the service sends and `migrate` writes them."""
    return {
        "statement_timeout": str(STATEMENT_TIMEOUT_MS),
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_MS),
        "timezone": "UTC",
        "jit": "off",
    }


def tracked() -> dict[str, str]:
    """Returns the settings that every pooler passes on."""
    return {"application_name": "hustlexp", "timezone": "UTC"}


def startup(role: str | None, statement_timeout_ms: int) -> dict[str, str]:
    """Returns the start-up packet's settings, with `role`: no statement runs without it."""
    settings = defaults() | tracked() | {"statement_timeout": str(statement_timeout_ms)}
    return settings | {"role": role} if role else settings


@dataclass(frozen=True, slots=True)
class Session:
    """The rights and settings of one connection, from the query `session_facts`."""

    login: str
    acting: str
    database: str
    pooled: bool
    """The server process is not the one that the driver was told of: a pooler is between."""
    read_only: bool
    exceeds: bool
    """The acting role has more rights than hx_app: no setting mends that."""
    complaints: tuple[str, ...]
    """Why the service must not use it; empty when it may."""

    @property
    def route(self) -> str:
        """Returns login, acting role and way, as `web as hx_app, through a pooler`."""
        way = "through a pooler" if self.pooled else "directly"
        return f"{self.login} as {self.acting}, {way}"

    @property
    def remedy(self) -> str:
        """Returns what an administrator can do about the complaints."""
        if self.exceeds:
            return (
                "Make a login for the service alone (create role hx_web login password …), name it "
                "in HX_POSTGRES_DSN, and run `hustlexp migrate`."
            )
        return (
            "Run `hustlexp migrate` with HX_POSTGRES_OWNER_DSN and HX_POSTGRES_DSN, or as an "
            f"administrator: {' '.join(statements(self.login, self.database).values())} "
            "Then let the pooler RECONNECT."
        )


def session_of(facts: Mapping[str, Any], session_pid: int) -> Session:
    """Returns the session of a row of `session_facts`; `session_pid` is the driver's.

    Behind a pooler only the login's own defaults count: the next transaction, or the session
    after a reset, may have nothing else.
    """
    pooled = facts["pid"] != session_pid
    who = "login" if pooled else "acting"
    return Session(
        login=facts["login"],
        acting=facts["acting"],
        database=facts["database"],
        pooled=pooled,
        read_only=facts["read_only"],
        exceeds=facts[f"{who}_exceeds"],
        complaints=tuple(
            _complaints(
                facts[who],
                is_app=facts[f"{who}_is_app"],
                exceeds=facts[f"{who}_exceeds"],
                settings=json.loads(facts["settings"]),
                pooled=pooled,
            )
        ),
    )


def statements(login: str, database: str) -> dict[str, str]:
    """Returns the SQL that grants a login all that the service needs, by what each grants.

    The keys are the role hx_app, for membership, and the names of settings.
    """
    name, place = quoted(login), quoted(database)
    granted = {} if login == ROLE else {ROLE: f"grant {ROLE} to {name};"}
    return granted | {
        setting: f"alter role {name} in database {place} set {setting} = '{value}';"
        for setting, value in defaults().items()
    }


def quoted(identifier: str) -> str:
    """Returns an identifier quoted for SQL.

    >>> print(quoted('a"b'))
    "a""b"
    """
    return '"' + identifier.replace('"', '""') + '"'


def _complaints(
    who: str,
    *,
    is_app: bool,
    exceeds: bool,
    settings: Mapping[str, tuple[str, str]],
    pooled: bool,
) -> Iterator[str]:
    if exceeds:
        yield (
            f"{who} may do more than {ROLE}: it could move the clock and switch triggers off, so "
            "the service needs another login"
        )
    if not is_app:
        yield f"{who} has not the rights of {ROLE}"
    if settings["session_replication_role"][0] != "origin":
        yield "session_replication_role switches triggers off"
    for name, longest_ms in _LONGEST_MS.items():
        present, at_reset = settings[name]
        # A pooler's reset, or another server session, would bring the login's own value.
        for value in dict.fromkeys((present, at_reset) if pooled else (present,)):
            if not 0 < int(value) <= longest_ms:
                yield f"{name} is {value} ms (1 to {longest_ms} are needed)"
    if settings["TimeZone"][0] not in _UTC:
        yield f"the time zone is {settings['TimeZone'][0]}, not UTC"
