"""Reads the files that make the schema, in the order in which they run.

`sql/schema/` is its present state by subject: tables, which a new database gets once, and routines
(functions, views, triggers, grants), which can be run again at any time. `sql/migrations/` brings
the tables and rows of an older database forward.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

FIRST: Final = (
    "kernel/tables.sql", "policy.sql", "kernel/functions.sql", "money/functions_checks.sql",
)  # fmt: skip
"""What defaults and checks of other tables ask."""

TABLES: Final = (
    "kernel", "events", "people", "tasks", "photos", "money", "proofs", "disputes", "pricing",
    "live", "progress", "admin",
)  # fmt: skip
"""Subjects in the order of their foreign keys."""

ROUTINES: Final = (
    "kernel", "events", "people", "money", "photos", "proofs", "disputes", "pricing", "live",
    "matching", "tasks", "progress", "admin",
)  # fmt: skip
"""Subjects in the order in which their functions and views call each other."""

KINDS: Final = ("functions", "views", "guards", "commands")
"""Of routines: each kind of every subject runs before the next kind."""

LAST: Final = "grants.sql"
ROUTINE: Final = "schema/"
"""How the ledger's name of a routine file begins; a migration has its bare name."""

_FILE: Final = re.compile(r"^(?P<subject>[a-z]+)/(?P<kind>[a-z]+)(_[a-z_]+)?\.sql$")
_MIGRATION: Final = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


class MigrationError(Exception):
    """The schema's files and the database do not fit together; the message says what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of SQL under its name in the ledger."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Returns the SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def is_routine(self) -> bool:
        """Whether it can be run again: a file of the schema that makes no tables."""
        return self.name.startswith(ROUTINE) and "/tables" not in self.name


@dataclass(frozen=True, slots=True)
class Schema:
    """All files of one version."""

    present: tuple[File, ...]
    """What makes a new database, in order; the grants are the last."""
    migrations: tuple[File, ...]
    """What older databases need, in order."""

    @property
    def routines(self) -> tuple[File, ...]:
        """Returns the files that can be run again, in order; the grants are the last."""
        return tuple(file for file in self.present if file.is_routine)

    @property
    def ledger(self) -> dict[str, str]:
        """Returns the ledger of a database that is up to date: checksum by name."""
        return {file.name: file.checksum for file in (*self.migrations, *self.routines)}


def read_schema(folder: Traversable | None = None) -> Schema:
    """Returns `schema/` and `migrations/` of a folder, by default of this package.

    Raises MigrationError for a file whose name gives it no place in the order.
    """
    folder = folder or files("sql")
    present = dict(_texts(folder.joinpath("schema")))
    return Schema(
        tuple(File(f"{ROUTINE}{name}", present[name]) for name in sorted(present, key=_place)),
        _migrations(folder.joinpath("migrations")),
    )


def _texts(folder: Traversable, within: str = "") -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry, f"{within}{entry.name}/")
        elif entry.name.endswith(".sql"):
            yield f"{within}{entry.name}", entry.read_text(encoding="utf-8")


def _place(name: str) -> tuple[int, int, int, str]:
    """Where a file of the schema stands in the order."""
    if name in FIRST:
        return 0, 0, FIRST.index(name), name
    if name == LAST:
        return 3, 0, 0, name
    match = _FILE.match(name)
    if match and match["kind"] == "tables" and match["subject"] in TABLES:
        return 1, 0, TABLES.index(match["subject"]), name
    if match and match["kind"] in KINDS and match["subject"] in ROUTINES:
        return 2, KINDS.index(match["kind"]), ROUTINES.index(match["subject"]), name
    raise MigrationError(f"schema/{name}: a file of the schema is named subject/kind_what.sql")


def _migrations(folder: Traversable) -> tuple[File, ...]:
    found: dict[str, File] = {}
    for name, text in _texts(folder):
        match = _MIGRATION.match(name)
        if match is None:
            raise MigrationError(f"{name}: a migration is named NNNN_what.sql")
        if match[1] in found:
            raise MigrationError(f"{name}: number {match[1]} is taken")
        found[match[1]] = File(name, text)
    return tuple(found[number] for number in sorted(found))
