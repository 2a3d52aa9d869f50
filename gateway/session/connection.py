"""One socket and its session: writes the session's output, aborts clients that do not read."""

from __future__ import annotations

from gateway.contract import limits
from gateway.session.frames import text_frame
from gateway.session.outbound import Outbound
from gateway.session.session import Session
from gateway.session.transport import Transport


class Connection:
    """Joins a `Session` to a `Transport`; no call blocks. Times are monotonic seconds."""

    __slots__ = ("_held", "_outbound", "_shut", "address", "cut_for", "session", "transport")

    def __init__(
        self, session: Session, transport: Transport, now: float, address: str = "unknown"
    ) -> None:
        self.session = session
        self.transport = transport
        self.address = address
        """What limits by address count this socket by."""
        self.cut_for: str | None = None
        """Why we cut the socket: "slow" or "silent"."""
        self._outbound = Outbound(now)
        self._shut = False
        self._held = False

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
            frames = (
                text_frame(outbox[0])
                if len(outbox) == 1
                else b"".join(text_frame(payload) for payload in outbox)
            )
            outbox.clear()
            self.transport.write(frames)
            self._outbound.wrote(len(frames))
            if self.transport.unsent_bytes() > limits.MAX_OUTBOUND_BYTES:
                self._cut("slow")
                return
        ending = self.session.ending
        if ending is not None:
            self._shut = True
            self.transport.shut(ending.code, ending.meaning)

    def tick(self, now: float, unix_now: float, *, check_silence: bool = True) -> None:
        """Applies the session's time-outs and ends slow or silent clients; called once a second."""
        if self._shut:
            return
        self.session.tick(now, unix_now)
        if self._outbound.too_slow(now, self.transport.unsent_bytes()):
            self._cut("slow")
        elif check_silence and not self._held and self.session.silent(now):
            self._cut("silent")
        else:
            self.flush()

    def _cut(self, why: str) -> None:
        self._shut = True
        self.cut_for = why
        self.transport.abort()
