"""Whether a client reads: slow is who makes no progress, whatever the amount that waits.

No frames are queued here: they go to the transport, and what it has not handed to the kernel is the
queue (TCP_NOTSENT_LOWAT keeps the kernel from hiding megabytes).
"""

from __future__ import annotations

from gateway.contract import limits


class Outbound:
    """Follows what leaves one socket. Times are monotonic seconds."""

    __slots__ = ("_moved_at", "_sent_bytes", "written_bytes")

    def __init__(self, now: float) -> None:
        self.written_bytes = 0
        """Size of the frames that were handed to the transport until now."""
        self._sent_bytes = 0
        self._moved_at = now

    def stalls(self, now: float, unsent_bytes: int) -> bool:
        """Returns whether something waits and not a byte of it has left for too long."""
        sent_bytes = self.written_bytes - unsent_bytes
        if unsent_bytes <= 0 or sent_bytes > self._sent_bytes:
            self._sent_bytes = sent_bytes
            self._moved_at = now
            return False
        return now - self._moved_at > limits.MAX_OUTBOUND_STALL_S
