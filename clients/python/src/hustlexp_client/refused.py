"""The exceptions of this client: refused, no answer, closed for good, messages left unread."""

from __future__ import annotations


class Refused(Exception):
    """The service refused one request: a problem document (REST) or an ERROR frame."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        invariant: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.invariant = invariant
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.status = status


class NoAnswer(TimeoutError):
    """No reply within the time-out; the command may have worked and is safe to repeat."""


class SentAway(Exception):
    """The server closed with a code that forbids reconnecting (4300 to 4399)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code}: {reason}")
        self.code = code
        self.reason = reason


class Overrun(Exception):
    """The caller left more than the allowed number of messages unread."""
