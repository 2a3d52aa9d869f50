"""Why the server closes a WebSocket, and what the client shall do then.

The range says the action (contract, Close codes); `docs/protocol.md` holds the same table, a test
keeps them equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """What a client does after a close: its whole reconnect rule."""

    RESUME = "Reconnect at once (full jitter) and resume with last_seq."
    FRESH_AUTH = "Get a fresh token, reconnect and AUTH."
    WAIT = "Wait (full jitter, from 1 s up to 60 s), then reconnect and resume."
    STOP = "Do not reconnect until the user or the app has changed something."


@dataclass(frozen=True, slots=True)
class CloseCode:
    """One close code with its meaning."""

    code: int
    name: str
    meaning: str

    @property
    def action(self) -> Action:
        """What the client does, by the range of the code."""
        return action(self.code)


def action(code: int) -> Action:
    """The client's action for any close code; those outside our ranges mean a lost connection."""
    if code in (1002, 1003, 1007, 1009):
        return Action.STOP
    match code // 100:
        case 41:
            return Action.FRESH_AUTH
        case 42:
            return Action.WAIT
        case 43:
            return Action.STOP
        case _:
            return Action.RESUME


NOT_UTF8: Final = CloseCode(1007, "NOT_UTF8", "A text frame was not UTF-8.")
FRAME_TOO_LARGE: Final = CloseCode(1009, "FRAME_TOO_LARGE", "A message was larger than 64 KiB.")
RESTARTING: Final = CloseCode(1012, "RESTARTING", "The server stops or restarts.")
TOKEN_REFUSED: Final = CloseCode(4100, "TOKEN_REFUSED", "The token of AUTH was refused.")
TOKEN_EXPIRED: Final = CloseCode(4103, "TOKEN_EXPIRED", "The token ended; no fresh AUTH came.")
TOKEN_REVOKED: Final = CloseCode(
    4104, "TOKEN_REVOKED", "An admin ended the sessions of this user: an older token is refused."
)
FLOOD: Final = CloseCode(4200, "FLOOD", "Too many refused messages or tokens, or pings.")
UNAVAILABLE: Final = CloseCode(
    4201, "UNAVAILABLE", "The session could not be opened: a part of the service is away."
)
AUTH_TIMEOUT: Final = CloseCode(4202, "AUTH_TIMEOUT", "No AUTH within 10 s.")
TOO_MANY_SOCKETS: Final = CloseCode(
    4203,
    "TOO_MANY_SOCKETS",
    "The same user opened more than 5 sockets; the one silent for longest was closed.",
)
NOT_ALLOWED: Final = CloseCode(4301, "NOT_ALLOWED", "The account may not use the service.")
ANOTHER_USER: Final = CloseCode(4303, "ANOTHER_USER", "AUTH on an open session named another user.")
AUTH_FIRST: Final = CloseCode(4304, "AUTH_FIRST", "A request came before AUTH.")
TOO_MANY_STREAMS: Final = CloseCode(
    4305, "TOO_MANY_STREAMS", "The same user opened more than 4 streams; the oldest was closed."
)

ALL: Final = (
    NOT_UTF8,
    FRAME_TOO_LARGE,
    RESTARTING,
    TOKEN_REFUSED,
    TOKEN_EXPIRED,
    TOKEN_REVOKED,
    FLOOD,
    UNAVAILABLE,
    AUTH_TIMEOUT,
    TOO_MANY_SOCKETS,
    NOT_ALLOWED,
    ANOTHER_USER,
    AUTH_FIRST,
    TOO_MANY_STREAMS,
)

FOR_WHAT_THE_CLIENT_DID: Final = frozenset(
    {TOKEN_REFUSED, FLOOD, TOO_MANY_SOCKETS, ANOTHER_USER, AUTH_FIRST}
)
"""What the security log tells of."""

BY_CODE: Final = {code.code: code for code in ALL}
