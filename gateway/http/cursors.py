"""Page cursors: opaque to clients, signed, and valid for one user."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Final
from uuid import UUID

import msgspec

from engine.kernel import errors
from engine.kernel.store import Cursor

_TAG_BYTES: Final = 16


class Cursors:
    """Signs and opens page cursors; each belongs to one user."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"cursor", sha256)

    def sign(self, user: UUID, end: Cursor) -> str:
        """Returns the signed cursor for the end of a page."""
        text = msgspec.json.encode(end)
        return urlsafe_b64encode(self._tag(user, text) + text).decode().rstrip("=")

    def open(self, user: UUID, cursor: str) -> Cursor:
        """Returns the end of the page; raises VALIDATION_ERROR for a forged or another's cursor."""
        try:
            signed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            tag, text = signed[:_TAG_BYTES], signed[_TAG_BYTES:]
            if hmac.compare_digest(tag, self._tag(user, text)):
                return msgspec.json.decode(text, type=Cursor)
        except ValueError:
            pass
        raise errors.invalid_field("/cursor", "must be the `next_cursor` of a page of yours")

    def after(self, user: UUID, cursor: str | None) -> Cursor | None:
        """Returns the opened cursor, or None for a first page; raises as `open`."""
        return self.open(user, cursor) if cursor else None

    def next(self, user: UUID, end: Cursor | None) -> str | None:
        """Returns the signed cursor of the next page, or None behind the last one."""
        return self.sign(user, end) if end else None

    def _tag(self, user: UUID, text: bytes) -> bytes:
        return hmac.digest(self._key, user.bytes + text, sha256)[:_TAG_BYTES]
