"""Slices of a collection of ids, so that one query asks for a bounded number of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

Id = TypeVar("Id", bound=UUID)


def batches(ids: Collection[Id], size: int) -> Iterator[Sequence[Id]]:
    """Yields the ids in slices of at most `size`; what changes meanwhile is not seen."""
    copy = tuple(ids)
    for start in range(0, len(copy), size):
        yield copy[start : start + size]
