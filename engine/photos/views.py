"""What an uploaded photo looks like from outside."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct


class UploadView(Struct, frozen=True):
    """An uploaded photo as it is kept; `bytes` is its size."""

    id: UUID
    content_type: Literal["image/jpeg", "image/png"]
    bytes: int
