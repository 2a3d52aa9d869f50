"""One socket and its session: writes the session's output, aborts clients that do not read."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from gateway.contract import limits
from gateway.session.frames import PING, Framer, text_frame
from gateway.session.outbound import Outbound
from gateway.session.session import Session
from gateway.session.sink import Transport

_FRAMER: Final = Framer()


class Connection:
    """Joins a `Session` to a `Transport`; no call blocks. Times are monotonic seconds."""

    __slots__ = (
        "_held",
        "_outbound",
        "_pinged_after",
        "_shut",
        "address",
        "cut_for",
        "ignored_for",
        "session",
        "transport",
    )

    def __init__(
        self, session: Session, transport: Transport, now: float, address: str = "unknown"
    ) -> None:
        self.session = session
        self.transport = transport
        self.address = address
        """What limits by address count this socket by."""
        self.cut_for: str | None = None
        """Why we cut the socket: "slow" or "silent"."""
        self.ignored_for: UUID | str | None = None
        """The source of the position, a session or REST, of which this socket was told that it counts."""
        self._outbound = Outbound(now)
        self._shut = False
        self._held = False
        self._pinged_after = 0.0
        """When the client had last said anything at the last ping."""

    @property
    def gone(self) -> bool:
        """Whether the socket is closed or aborted: nothing more is written."""
        return self._shut

    def closed(self) -> None:
        """Marks the socket as closed, by whichever side."""
        self._shut = True

    @property
    def lags(self) -> bool:
        """Whether the client reads late, so that volatile messages are left out."""
        return self.transport.unsent_bytes() > limits.VOLATILE_OUTBOUND_BYTES

    @property
    def clogged(self) -> bool:
        """Whether so much waits for the client that events are left in the log for now."""
        return self.transport.is_full

    async def drain(self) -> None:
        """Writes the outbox and waits while much of what was written is unread.

        Returns at once for a socket that is gone, or goes meanwhile.
        """
        self.flush()
        if not self._shut:
            await self.transport.drained()

    def hold(self) -> None:
        """Stops reading: as much as may wait does."""
        self._held = True
        self.transport.hold()

    def read_on(self, now: float) -> None:
        """Reads again; while it did not, the client was not silent."""
        if self._held:
            self._held = False
            self.session.heard_at = now
            self.transport.read_on()

    def flush(self) -> None:
        """Writes the session's outbox at once, then the close frame if the session has ended."""
        if self._shut:
            self.session.outbox.clear()
            return
        outbox = self.session.outbox
        if outbox:
            transport = self.transport
            if transport.is_full and transport.unsent_bytes() > limits.MAX_OUTBOUND_BYTES:
                outbox.clear()
                self._cut("slow")
                return
            frames = (
                _FRAMER.text_frame(outbox[0])
                if len(outbox) == 1
                else b"".join(map(text_frame, outbox))
            )
            outbox.clear()
            transport.write(frames)
            self._outbound.written_bytes += len(frames)
        ending = self.session.ending
        if ending is not None:
            self._shut = True
            self.transport.shut(ending.code, ending.meaning)

    def tick(self, now: float, unix_now: float, *, check_silence: bool = True) -> None:
        """Applies the session's time-outs and ends slow or silent clients; called once a second."""
        if self._shut:
            return
        self.session.tick(now, unix_now)
        if self._outbound.stalls(now, self.transport.unsent_bytes()):
            self._cut("slow")
        elif check_silence and not self._held and self.session.silent(now):
            self._cut("silent")
        else:
            self._ask_for_life(now)
            self.flush()

    def _ask_for_life(self, now: float) -> None:
        """Pings a client that has been silent for a heartbeat, once: its library answers by itself."""
        heard_at = self.session.heard_at
        if now - heard_at > limits.HEARTBEAT_S and self._pinged_after != heard_at:
            self._pinged_after = heard_at
            self.transport.ping()
            self._outbound.written_bytes += len(PING)

    def _cut(self, why: str) -> None:
        self._shut = True
        self.cut_for = why
        self.transport.abort()
