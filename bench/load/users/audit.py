"""What a session was promised, held against what it gets: events without gap, cards once.

Sans I/O: each method takes what came and raises Finding where the protocol broke its word
(docs/protocol.md, "Durable events" and "Cards"). A finding leaves the audit in step, so that one
fault is one finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID


class Finding(Exception):
    """A promise of the protocol that was broken: a failure of the run, whatever its speed."""


class EventAudit:
    """The numbers of one user's durable events, over all of its sockets."""

    def __init__(self) -> None:
        self.last_seq: int | None = None
        self._known = 0

    def event(self, seq: int) -> None:
        """Takes an event: the next one, on whichever socket."""
        before, self.last_seq = self.last_seq, max(seq, self.last_seq or 0)
        if before is None:
            raise Finding(f"event {seq} before the first WELCOME")
        if seq <= before:
            raise Finding(f"event {seq} twice: {before} had come")
        if seq > before + 1:
            raise Finding(f"event missing: {seq} after {before}")

    def welcome(self, last_seq: int) -> None:
        """Takes a WELCOME: everything up to its number has been replayed before it."""
        before, self.last_seq = self.last_seq, last_seq
        self._known = last_seq
        if before is not None and before != last_seq:
            raise Finding(f"WELCOME at {last_seq}, replayed up to {before}")

    def resync(self, reason: str) -> None:
        """Takes a RESYNC: no log of a run is old enough for one."""
        self.last_seq = None
        raise Finding(f"RESYNC {reason}")

    def pong(self, last_seq: int) -> None:
        """Takes a PONG's number: what the one before knew of must have been pushed by now."""
        known, self._known = self._known, last_seq
        if self.last_seq is not None and known > self.last_seq:
            raise Finding(f"event {known} not pushed between two heartbeats")


class CardAudit:
    """The cards of one hustler: once on a socket, and never again once they have ended."""

    def __init__(self) -> None:
        self._shown: set[UUID] = set()
        self._ended: set[UUID] = set()

    def welcome(self, broadcasts: Iterable[UUID]) -> None:
        """Takes the open cards of a new socket's WELCOME, which count as shown."""
        self._shown = set(broadcasts)
        if again := self._shown & self._ended:
            raise Finding(f"WELCOME shows ended cards: {', '.join(map(str, again))}")

    def card(self, broadcast: UUID) -> None:
        """Takes a card."""
        shown, ended = broadcast in self._shown, broadcast in self._ended
        self._shown.add(broadcast)
        if ended:
            raise Finding(f"card of {broadcast} after its end")
        if shown:
            raise Finding(f"card of {broadcast} twice on one socket")

    def closed(self, broadcast: UUID, *, withdrawn: bool) -> None:
        """Takes the end of a card; one that was withdrawn may come again."""
        self._shown.discard(broadcast)
        if not withdrawn:
            self._ended.add(broadcast)

    def answered(self, broadcast: UUID, outcome: str) -> None:
        """Takes the outcome of an answer: a skip leaves the card where it is."""
        if outcome != "SKIPPED":
            self.closed(broadcast, withdrawn=False)
