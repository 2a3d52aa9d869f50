"""Whether a release may serve a database: its schema beside the one that the ledger records.

Migrations must be the same: what stores and reads a row agrees with the row. Functions, views,
triggers and grants are run again as a whole by whoever migrates, so two releases with the same
migrations work side by side on the newer one's, while one takes the other's place. Which one is newer
is a matter of record: the one whose schema came to this database later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sql.schema_files import ROUTINE

NAMED: Final = 3
"""So many files are named in a sentence; the rest are counted."""

Side = Literal["same", "database older", "database newer", "other"]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What `hustlexp migrate` recorded: checksums by name, and the schemas that this database had."""

    applied: Mapping[str, str]
    history: tuple[str, ...] = ()
    """The digest of each schema that the database had, in the order of their first time."""


@dataclass(frozen=True, slots=True)
class SchemaFit:
    """How a release's schema stands to the database's."""

    side: Side
    files: tuple[str, ...]
    """What one has and the other has not."""
    serves: bool
    """Whether the release may serve it."""

    @property
    def sentence(self) -> str:
        """Returns which side is newer, and what to do."""
        return f"{self._what()} {_REMEDIES[self.side, self.serves]}".strip()

    def _what(self) -> str:
        named = ", ".join(self.files[:NAMED])
        more = len(self.files) - NAMED
        return _SENTENCES[self.side].format(f"{named} and {more} more" if more > 0 else named)


_SENTENCES: Final[Mapping[Side, str]] = {
    "same": "Both have the same schema.",
    "database older": "The database is older than this release: it lacks {0}.",
    "database newer": "The database is newer than this release, which does not know {0}.",
    "other": "The database is of another past: {0} is not the file that was applied.",
}
_REMEDIES: Final[Mapping[tuple[Side, bool], str]] = {
    ("same", True): "",
    ("database older", False): "Run `hustlexp migrate` with this release.",
    (
        "database newer",
        True,
    ): "Its functions serve both releases while one takes the other's place.",
    ("database newer", False): "Serve with the release that migrated it, or a later one.",
    ("other", False): "Serve with the release that migrated it.",
}


def fit(ledger: Ledger, expected: Mapping[str, str]) -> SchemaFit:
    """Returns how the schema `expected` of a release (checksum by name) stands to the ledger's."""
    applied = ledger.applied
    unknown = [name for name in applied if not _is_routine(name) and name not in expected]
    missing = [name for name in expected if not _is_routine(name) and name not in applied]
    changed = [
        name for name, checksum in expected.items()
        if not _is_routine(name) and applied.get(name, checksum) != checksum
    ]  # fmt: skip
    if changed:
        return _refused("other", changed)
    if missing:
        return _refused("database older", missing)
    if unknown:
        return _refused("database newer", unknown)
    due = [
        name for name, checksum in expected.items()
        if _is_routine(name) and applied.get(name) != checksum
    ]  # fmt: skip
    if not due:
        return SchemaFit("same", (), serves=True)
    if _came_earlier(expected, ledger):
        return SchemaFit("database newer", tuple(due), serves=True)
    return _refused("database older", due)


def digest(checksums: Mapping[str, str]) -> str:
    """Returns the digest of a whole schema, by its checksums."""
    text = "".join(f"{name} {checksum}\n" for name, checksum in sorted(checksums.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _came_earlier(expected: Mapping[str, str], ledger: Ledger) -> bool:
    """Whether the database had the schema `expected` before it first had its present one."""
    place = {one: number for number, one in enumerate(ledger.history)}
    mine, present = place.get(digest(expected)), place.get(digest(ledger.applied))
    return mine is not None and present is not None and mine < present


def _is_routine(name: str) -> bool:
    return name.startswith(ROUTINE)


def _refused(side: Side, files: Sequence[str]) -> SchemaFit:
    return SchemaFit(side, tuple(files), serves=False)
