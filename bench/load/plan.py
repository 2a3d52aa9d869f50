"""The plan of a run, as the launcher writes it and the locustfile reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.load.users.accounts import Ticket

VARIABLE: Final = "HUSTLEXP_LOAD_PLAN"
"""Environment variable that names the plan's file."""


class Plan(Struct, frozen=True):
    """Where the service is, who may use it, and how many come when."""

    url: str
    ws_url: str
    shape: str
    length_s: float
    seed: int
    tickets: list[Ticket]

    @property
    def peak(self) -> int:
        """Returns how many users there may be at once: one for each account."""
        return len(self.tickets)

    @property
    def posters(self) -> int:
        """Returns how many of them are posters."""
        return sum(ticket.role == "poster" for ticket in self.tickets)


def write(plan: Plan, path: Path) -> None:
    """Writes a plan, for its owner's eyes alone: it holds tokens."""
    path.touch(mode=0o600)
    path.write_bytes(msgspec.json.encode(plan))


def read() -> Plan:
    """Returns the plan that the environment names; raises SystemExit where there is none."""
    path = os.environ.get(VARIABLE)
    if path is None:
        raise SystemExit(f"{VARIABLE} names no plan: start this with `make load`.")
    return msgspec.json.decode(Path(path).read_bytes(), type=Plan)
