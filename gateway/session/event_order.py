"""Order of one session's durable events: seq n is written only after n - 1 (design §7).

Two processes may push 6 before 5, a push may be lost, the log may repeat what was pushed. Whatever
arrives, the client receives a sequence without gaps; what is missing is read from the log.
"""

from __future__ import annotations


class EventOrder:
    """Offsets in one user's log: `written` to the client, and `known` to exist.

    While `known` is ahead of `written`, the log must be read.
    """

    __slots__ = ("known", "written")

    def __init__(self) -> None:
        self.written = 0
        """The last seq this socket was sent, or said to have."""
        self.known = 0
        """The highest seq heard of, by push or by the counters."""

    @property
    def behind(self) -> bool:
        """Whether events are missing that must be read from the log."""
        return self.known > self.written

    def start_at(self, seq: int) -> None:
        """Sets the offset: the client has every event up to `seq`."""
        self.written = seq
        self.known = max(self.known, seq)

    def heard_of(self, seq: int) -> None:
        """Notes that an event with this seq exists."""
        self.known = max(self.known, seq)

    def admit(self, seq: int) -> bool:
        """Returns whether this event is the next to write; False for a repeat or after a gap."""
        self.known = max(self.known, seq)
        if seq != self.written + 1:
            return False
        self.written = seq
        return True

    def restart_at(self, seq: int) -> None:
        """Resets the offset to `seq` after RESYNC: the log could not continue."""
        self.written = seq
        self.known = seq
