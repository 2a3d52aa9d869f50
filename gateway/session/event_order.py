"""The order of one session's durable events: seq n is written only after n - 1 (design §7).

Two processes may push 6 before 5, a push may be lost, the log may repeat what was pushed.
Whatever arrives, the client sees a gap-free row; what is missing is asked of the log.
"""

from __future__ import annotations


class EventOrder:
    """Positions in one user's log. `known` may run ahead of `written`: then the log must be read."""

    __slots__ = ("known", "written")

    def __init__(self) -> None:
        self.written = 0
        """The last seq this socket was sent, or said to have."""
        self.known = 0
        """The highest seq heard of, by push or by the counters."""

    @property
    def behind(self) -> bool:
        """Something is missing that only the log can bring."""
        return self.known > self.written

    def start_at(self, seq: int) -> None:
        """The client has everything up to `seq`."""
        self.written = seq
        self.known = max(self.known, seq)

    def heard_of(self, seq: int) -> None:
        """An event with this seq exists."""
        self.known = max(self.known, seq)

    def admit(self, seq: int) -> bool:
        """Whether this event is the next to write; a repeat or one after a gap is not."""
        self.known = max(self.known, seq)
        if seq != self.written + 1:
            return False
        self.written = seq
        return True

    def restart_at(self, seq: int) -> None:
        """The log could not continue: the client starts again from `seq` (RESYNC)."""
        self.written = seq
        self.known = seq
