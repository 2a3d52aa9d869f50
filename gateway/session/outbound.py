"""Limits on what is written but unread by one client, in bytes and in age.

No frames are queued here: they go to the transport, and what it has not handed to the kernel is the
queue (TCP_NOTSENT_LOWAT keeps the kernel from hiding megabytes).
"""

from __future__ import annotations

from gateway.contract import limits


class Outbound:
    """Decides whether a client reads too slowly. Times are monotonic seconds."""

    __slots__ = ("_mark_at", "_mark_bytes", "_written_bytes")

    def __init__(self, now: float) -> None:
        self._written_bytes = 0
        self._mark_bytes = 0
        self._mark_at = now

    def wrote(self, size_bytes: int) -> None:
        """Adds the size of frames that were handed to the transport."""
        self._written_bytes += size_bytes

    def too_slow(self, now: float, unsent_bytes: int) -> bool:
        """Returns whether to abort the client: too much unsent, or unsent for too long."""
        if unsent_bytes > limits.MAX_OUTBOUND_BYTES:
            return True
        if self._written_bytes - unsent_bytes >= self._mark_bytes:
            # everything written before the last look has left: look anew from here
            self._mark_bytes = self._written_bytes
            self._mark_at = now
            return False
        return now - self._mark_at > limits.MAX_OUTBOUND_AGE_S
