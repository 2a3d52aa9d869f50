"""The two sides of a socket: what writes to it, and what hears from it."""

from __future__ import annotations

from typing import Final, Protocol


class Sink(Protocol):
    """What hears of the frames of one socket, in their order; no call blocks or raises."""

    def text(self, message: str) -> None:
        """Takes a text message."""

    def binary(self) -> None:
        """Hears of a binary message, whose content nobody wants."""

    def alive(self) -> None:
        """Hears of a control frame: the peer is there."""

    def drained(self) -> None:
        """Hears that the peer has read most of what was unread."""

    def closed(self) -> None:
        """Hears that nothing more comes, by whichever side; called once."""


class Transport(Protocol):
    """Interface of an open WebSocket as the gateway drives it; no call blocks."""

    is_full: bool
    """Whether more than CLOGGED_OUTBOUND_BYTES were unsent, and most of that still is."""

    def attach(self, sink: Sink) -> None:
        """Gives every frame to `sink` from now on, those that wait already first."""

    def write(self, data: bytes) -> None:
        """Hands whole frames to the transport; drops them after a close."""

    def unsent_bytes(self) -> int:
        """Returns the bytes that the kernel has not taken yet."""

    async def drained(self) -> None:
        """Returns once the kernel has taken most of what was written, or the socket is gone."""

    def ping(self) -> None:
        """Asks the peer for a sign of life."""

    def hold(self) -> None:
        """Stops reading, so that the peer has to wait."""

    def read_on(self) -> None:
        """Reads again after `hold`."""

    def shut(self, code: int, reason: str) -> None:
        """Starts the closing handshake; aborts the socket if the peer does not finish it."""

    def abort(self) -> None:
        """Aborts the connection now, without a close frame."""


class _Deaf:
    """The sink of a socket that has ended."""

    def text(self, message: str) -> None:
        """Drops a message."""

    def binary(self) -> None:
        """Drops a message."""

    def alive(self) -> None:
        """Drops a sign of life."""

    def drained(self) -> None:
        """Has nothing held back."""

    def closed(self) -> None:
        """Has been told."""


DEAF: Final = _Deaf()
