"""What one open event stream has still to tell: a cursor into the log and two flags, no queue.

News set flags and are read from the log when the reader is ready for them, so a reader that stands
still costs the same as one that waits.
"""

from __future__ import annotations

import asyncio

from gateway.contract.close_codes import CloseCode


class Stream:
    """One open `GET /v1/events/stream`; begins with the log after its cursor and all open offers."""

    __slots__ = ("_news", "after", "closed", "is_behind", "issued_at", "offers_changed")

    def __init__(self, after: int, issued_at: float = 0.0) -> None:
        self.issued_at = issued_at
        """When its caller's token was issued, Unix seconds."""
        self.after = after
        """The last seq that was written, or that the client already had."""
        self.is_behind = True
        """Whether the log may have events after it."""
        self.offers_changed = True
        """Whether the open offers are not those that were written last."""
        self.closed: CloseCode | None = None
        """Why the stream is to end."""
        self._news = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Returns when there is something to write, at the latest after so many seconds."""
        if self.is_behind or self.offers_changed or self.closed is not None:
            return
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    def event(self, seq: int) -> None:
        """Notes that the log has this seq."""
        if seq > self.after:
            self.is_behind = True
            self._news.set()

    def offers(self) -> None:
        """Notes that the open offers changed."""
        self.offers_changed = True
        self._news.set()

    def close(self, code: CloseCode) -> None:
        """Ends the stream for this reason; the first one counts."""
        self.closed = self.closed or code
        self._news.set()
