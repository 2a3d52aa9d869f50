"""Compares our journal with the provider's movements; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Literal

from msgspec import Struct

from engine.money.books import ProviderMovement
from engine.money.provider import MovementKind

DifferenceKind = Literal["NOT_BOOKED", "UNKNOWN", "NOT_MOVED", "AMOUNT", "TWICE", "UNASKED"]


class Booked(Struct, frozen=True):
    """A movement in our journal."""

    kind: MovementKind
    reference: str
    amount_cents: int
    at: datetime
    escrow_id: str
    settlement_id: str | None = None


class Difference(Struct, frozen=True, omit_defaults=True):
    """One thing on which the books disagree; the provider's are the truth.

    - NOT_BOOKED: the provider moved it and we have not booked it; can be repaired.
    - UNKNOWN: it carries an id like ours, and we have no such row.
    - NOT_MOVED: we booked it and the provider did not move it.
    - AMOUNT: both have it, with different amounts.
    - TWICE: the provider moved it again for a settlement or escrow that we have booked already.
    - UNASKED: somebody else than us gave back a payment of ours.
    """

    what: DifferenceKind
    kind: MovementKind
    reference: str
    escrow_id: str | None = None
    settlement_id: str | None = None
    ours_cents: int | None = None
    theirs_cents: int | None = None

    @property
    def repairable(self) -> bool:
        """Whether booking the provider's movement removes the difference."""
        return self.what == "NOT_BOOKED"

    @property
    def owner(self) -> str:
        """The id of the row it belongs to: an escrow's for a payment, else a settlement's."""
        return (self.escrow_id if self.kind == "PAYMENT" else self.settlement_id) or ""

    @property
    def subject(self) -> str:
        """The subject of the admin item about the difference."""
        return f"{self.what} {self.reference}"


def differences(
    booked: Sequence[Booked],
    movements: Sequence[ProviderMovement],
    *,
    since: datetime,
    until: datetime,
    known: AbstractSet[str],
) -> list[Difference]:
    """Returns what differs as of `until`; our entries before `since` only explain theirs.

    `known` are the ids of the escrows and settlements that we have.

    The provider's list has to begin earlier than `since`: it has a movement's begin where we
    have the time of its booking. Movements after `until` are too young to be compared: their
    booking may be under way.
    """
    ours = {entry.reference: entry for entry in booked}
    theirs = {movement.reference: movement for movement in movements}
    return [
        *_only_theirs(ours, [m for m in movements if m.at <= until], known),
        *_only_ours([e for e in booked if since <= e.at <= until], theirs),
    ]


def _only_theirs(
    ours: dict[str, Booked], movements: Sequence[ProviderMovement], known: AbstractSet[str]
) -> Iterator[Difference]:
    owners: dict[tuple[str, str | None], int] = defaultdict(int)
    for entry in ours.values():
        owners[entry.kind, _owner(entry)] += 1
    payments = {entry.reference: entry for entry in ours.values() if entry.kind == "PAYMENT"}
    for movement in movements:
        if movement.state != "SUCCEEDED" or movement.reference in ours:
            continue
        owner = _owner(movement)
        if owner is not None:
            twice = owners[movement.kind, owner] > 0
            owners[movement.kind, owner] += 1
            what: DifferenceKind = "TWICE" if twice else "NOT_BOOKED"
            yield _theirs(what if owner in known else "UNKNOWN", movement)
        elif movement.kind == "REFUND" and movement.payment in payments:
            yield _theirs("UNASKED", movement, payments[movement.payment].escrow_id)


def _only_ours(
    booked: Sequence[Booked], theirs: dict[str, ProviderMovement]
) -> Iterator[Difference]:
    for entry in booked:
        movement = theirs.get(entry.reference)
        there = movement is not None and movement.state == "SUCCEEDED"
        if movement is not None and there and movement.amount_cents == entry.amount_cents:
            continue
        yield Difference(
            "AMOUNT" if there else "NOT_MOVED",
            entry.kind,
            entry.reference,
            escrow_id=entry.escrow_id,
            settlement_id=entry.settlement_id,
            ours_cents=entry.amount_cents,
            theirs_cents=movement.amount_cents if movement is not None else None,
        )


def _theirs(
    what: DifferenceKind, movement: ProviderMovement, escrow_id: str | None = None
) -> Difference:
    return Difference(
        what,
        movement.kind,
        movement.reference,
        escrow_id=escrow_id or movement.escrow_id,
        settlement_id=movement.settlement_id,
        theirs_cents=movement.amount_cents,
    )


def _owner(movement: Booked | ProviderMovement) -> str | None:
    return movement.escrow_id if movement.kind == "PAYMENT" else movement.settlement_id
