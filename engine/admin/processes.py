"""The list of running processes: each reports itself, and is told of settings that differ.

Processes of one database may run on several hosts, with an environment each. What must be the same
for all of them is compared by a digest, and named by its values where these are no secret.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog

from engine.kernel.errors import Refusal
from engine.kernel.leases import PROCESS_ID
from engine.kernel.loops import supervise
from engine.kernel.store import Store
from sql.database import DatabaseAway, DatabaseError

log = structlog.get_logger(__name__)

REPORT_EVERY_S: Final = 5.0
"""The database forgets a process after four missed reports (process_missed_after)."""


class SettingsGroup(msgspec.Struct, frozen=True):
    """Settings that must agree: a digest over all, the values of those no secret, the others' names."""

    digest: str
    values: dict[str, str]
    secrets: list[str] = []


class RunningProcess(msgspec.Struct, frozen=True):
    """A process of the service that was heard of lately, by the database's clock."""

    id: UUID
    role: str
    host: str
    pid: int
    release: str
    started_at: datetime
    seen_at: datetime
    settings: dict[str, SettingsGroup]

    @property
    def name(self) -> str:
        """Returns how a person finds it, as `gateway web-1:4711`."""
        return f"{self.role} {self.host}:{self.pid}"


class Difference(msgspec.Struct, frozen=True):
    """A setting, or a group of secrets, that is not the same in all processes."""

    what: str
    by_value: dict[str, list[str]]
    """The processes by their value; of a secret only which of them agree."""

    def __str__(self) -> str:
        parts = (f"{value} in {', '.join(names)}" for value, names in self.by_value.items())
        return f"{self.what} is {'; '.join(parts)}"


class Processes:
    """The loop that reports this process, and warns once of each difference."""

    def __init__(
        self,
        store: Store,
        settings: Mapping[str, SettingsGroup],
        *,
        role: str,
        release: str,
        process: UUID = PROCESS_ID,
    ) -> None:
        """`settings` by group; `role` as `--role` has it; `release` is the version that runs."""
        self._store = store
        self._process = process
        self._settings = msgspec.json.encode(settings).decode()
        self._role = role
        self._release = release
        self._started_at: datetime | None = None
        self._logged: list[Difference] = []

    async def run(self) -> None:
        """Reports until cancelled, and takes the row away then."""
        try:
            await supervise("processes", self._round)
        finally:
            with suppress(DatabaseAway, DatabaseError, Refusal):
                await self._store.execute("process_ended", self._process)

    async def _round(self) -> None:
        await self.report()
        await asyncio.sleep(REPORT_EVERY_S)

    async def report(self) -> list[RunningProcess]:
        """Says that this process runs, and returns all that do; logs what has begun to differ."""
        running = await self._store.call(
            list[RunningProcess],
            "report_process",
            self._process,
            self._role,
            socket.gethostname(),
            os.getpid(),
            self._release,
            self._settings,
            self._started_at,
        )
        mine = next((one for one in running if one.id == self._process), None)
        if mine is not None:
            self._started_at = mine.started_at
        found = differences(running)
        for difference in found:
            if difference not in self._logged:
                log.warning("settings_differ", setting=difference.what, sentence=str(difference))
        self._logged = found
        return running


async def running_processes(store: Store) -> list[RunningProcess]:
    """Returns the processes that run on this database, the oldest first."""
    return await store.one(list[RunningProcess], "running_processes")


def differences(running: Sequence[RunningProcess]) -> list[Difference]:
    """Returns which settings are not the same in all processes, in the order of their names.

    A setting that a process does not know, being of another release, is compared among the others.
    """
    found: list[Difference] = []
    for group in sorted({group for one in running for group in one.settings}):
        known = [one for one in running if group in one.settings]
        if len({one.settings[group].digest for one in known}) < 2:
            continue
        # Where the values that may be shown agree, it is one of the others.
        found += list(_differences_in(group, known)) or [_of_secrets(group, known)]
    return found


def _differences_in(group: str, known: Sequence[RunningProcess]) -> Iterator[Difference]:
    for name in sorted({name for one in known for name in one.settings[group].values}):
        by_value = _by_value(
            (value, one)
            for one in known
            if (value := one.settings[group].values.get(name)) is not None
        )
        if len(by_value) > 1:
            yield Difference(name, by_value)


def _of_secrets(group: str, known: Sequence[RunningProcess]) -> Difference:
    """Returns which processes have the same secrets; in words, for their values are nobody's."""
    digests = list(dict.fromkeys(one.settings[group].digest for one in known))
    names = dict.fromkeys(name for one in known for name in one.settings[group].secrets)
    return Difference(
        " or ".join(names),
        _by_value(
            (f"secret no. {digests.index(one.settings[group].digest) + 1}", one) for one in known
        ),
    )


def _by_value(pairs: Iterable[tuple[str, RunningProcess]]) -> dict[str, list[str]]:
    by_value: dict[str, list[str]] = {}
    for value, one in pairs:
        by_value.setdefault(value, []).append(one.name)
    return by_value
