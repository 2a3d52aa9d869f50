"""One user's long polls and event streams: what wakes them, and what the last one returned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, NamedTuple
from uuid import UUID

from engine.kernel import errors
from gateway.contract import close_codes, limits
from gateway.contract.close_codes import CloseCode
from gateway.delivery.streams import Stream

Woken = Literal["EVENT", "OFFERS", "TIMEOUT", "STOPPING"]


class _Poll(NamedTuple):
    """What a waiting poll asked, and when its caller's token was issued (Unix seconds)."""

    after: int
    issued_at: float


class Poller:
    """The long polls and streams of one user. Times are monotonic seconds."""

    __slots__ = ("_changed", "_pending", "_sent", "_streams", "_waiting", "until")

    def __init__(self) -> None:
        self.until = 0.0
        """When the user stops counting as connected, unless a poll is waiting."""
        self._waiting: dict[asyncio.Future[Woken], _Poll] = {}
        self._streams: list[Stream] = []
        self._sent: set[UUID] = set()
        self._pending: set[UUID] = set()
        self._changed = False

    @property
    def waiting(self) -> bool:
        """Whether a poll or a stream is open now."""
        return bool(self._waiting or self._streams)

    @property
    def offset(self) -> int | None:
        """The lowest seq after which a waiting poll asked; None when none waits."""
        return min((poll.after for poll in self._waiting.values()), default=None)

    def broadcasts(self) -> set[UUID]:
        """The open offers that a poll has returned to this user, or is about to return."""
        return self._sent | self._pending

    def begin(self, after: int, issued_at: float = 0.0) -> asyncio.Future[Woken]:
        """Opens a poll; its future is done at once when the offers changed since the last one.

        The oldest poll of a user who opens too many is answered. `issued_at` is when the caller's
        token was, in Unix seconds.
        """
        woken: asyncio.Future[Woken] = asyncio.get_running_loop().create_future()
        if self._pending or self._changed:
            self._sent |= self._pending
            self._pending.clear()
            self._changed = False
            woken.set_result("OFFERS")
        else:
            self._waiting[woken] = _Poll(after, issued_at)
            if len(self._waiting) > limits.POLLS_PER_USER:
                self._wake(next(iter(self._waiting)), "TIMEOUT")
        return woken

    def end(self, woken: asyncio.Future[Woken], now: float) -> None:
        """Closes a poll, and keeps the user reachable until the next one, for a while."""
        self._waiting.pop(woken, None)
        self.until = now + limits.POLL_GRACE_S

    def unread(self) -> None:
        """Takes back an answer that nobody can have read: the next poll has the offers at once."""
        self._changed = True

    def follow(self, stream: Stream) -> None:
        """Opens a stream; the oldest of a user who opens too many is closed."""
        self._streams.append(stream)
        open_ones = [known for known in self._streams if known.closed is None]
        for oldest in open_ones[: -limits.STREAMS_PER_USER]:
            oldest.close(close_codes.TOO_MANY_STREAMS)

    def unfollow(self, stream: Stream, now: float) -> None:
        """Closes a stream; whether its last words arrived is unknown, so the next poll repeats them."""
        self._streams.remove(stream)
        self._changed = self._changed or bool(self._sent)
        self.until = now + limits.POLL_GRACE_S

    def event(self, seq: int) -> None:
        """Wakes the polls and streams that stand before this seq."""
        for stream in self._streams:
            stream.event(seq)
        for woken, poll in list(self._waiting.items()):
            if seq > poll.after:
                self._wake(woken, "EVENT")

    def offer(self, broadcast_id: UUID) -> bool:
        """Adds an open offer; returns True once a poll or stream has told it to the user."""
        if broadcast_id in self._sent:
            return True
        if not self.waiting:
            self._pending.add(broadcast_id)
            return False
        self._sent.add(broadcast_id)
        self._offers_changed()
        return True

    def gone(self, broadcast_id: UUID) -> None:
        """Removes an offer that is no longer open; wakes the polls if one had returned it."""
        self._pending.discard(broadcast_id)
        if broadcast_id in self._sent:
            self._sent.discard(broadcast_id)
            self._offers_changed()

    def withdraw(self) -> None:
        """Removes every open offer of this user; wakes the polls if one had returned any."""
        if self._sent:
            self._offers_changed()
        self._sent.clear()
        self._pending.clear()

    def refuse(
        self, code: CloseCode, refusal: Callable[[], errors.Refusal], issued_until: float
    ) -> int:
        """Ends polls and streams whose token was issued until then (Unix seconds); how many."""
        streams = [s for s in self._streams if s.issued_at <= issued_until]
        for stream in streams:
            stream.close(code)
        refused = [w for w, poll in self._waiting.items() if poll.issued_at <= issued_until]
        for woken in refused:
            del self._waiting[woken]
            if not woken.done():
                woken.set_exception(refusal())
        return len(streams) + len(refused)

    def stop(self) -> None:
        """Wakes every poll and closes every stream, for the shutdown of the service."""
        self.close_streams(close_codes.RESTARTING)
        self._wake_all("STOPPING")

    def close_streams(self, code: CloseCode) -> None:
        """Closes every stream for this reason."""
        for stream in self._streams:
            stream.close(code)

    def _offers_changed(self) -> None:
        for stream in self._streams:
            stream.offers()
        if self._waiting:
            self._wake_all("OFFERS")
        else:
            self._changed = True

    def _wake_all(self, why: Woken) -> None:
        for woken in list(self._waiting):
            self._wake(woken, why)

    def _wake(self, woken: asyncio.Future[Woken], why: Woken) -> None:
        del self._waiting[woken]
        if not woken.done():
            woken.set_result(why)
