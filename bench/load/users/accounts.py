"""The accounts of a run, handed to users and taken back, so that the next one resumes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from bench.load.users.audit import CardAudit, EventAudit

Role = Literal["hustler", "poster"]


class Ticket(Struct, frozen=True):
    """An account as a plan names it: its token, and where it starts, in degrees."""

    role: Role
    token: str
    lat: float
    lng: float


class Account(Struct):
    """An account in use: what its last user knew when the connection ended."""

    ticket: Ticket
    lat: float
    lng: float
    events: EventAudit = field(default_factory=EventAudit)
    cards: CardAudit = field(default_factory=CardAudit)


class Accounts:
    """Who is free, longest first."""

    def __init__(self, tickets: Iterable[Ticket]) -> None:
        self._free: dict[Role, deque[Account]] = {"hustler": deque(), "poster": deque()}
        for ticket in tickets:
            self._free[ticket.role].append(Account(ticket, ticket.lat, ticket.lng))

    def take(self, role: Role) -> Account:
        """Returns a free account; raises LookupError where there are more users than accounts."""
        if not self._free[role]:
            raise LookupError(f"no {role}'s account is free: the plan has too few")
        return self._free[role].popleft()

    def put_back(self, account: Account) -> None:
        """Takes an account back, for whoever comes next."""
        self._free[account.ticket.role].append(account)
