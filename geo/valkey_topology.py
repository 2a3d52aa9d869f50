"""The topology of a cluster: which server owns which hash slot, from its CLUSTER SLOTS.

A single server has no topology: it owns every slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

SLOTS: Final = REDIS_CLUSTER_HASH_SLOTS

Address = tuple[str, int]
"""Host and port."""


def slot_of_key(key: bytes) -> int:
    """Returns the hash slot of a key, 0–16383: of its tag in braces where it has one."""
    return key_slot(key)


@dataclass(frozen=True, slots=True)
class Topology:
    """The owner of each of the 16,384 slots, None where nobody owns it; and all owners."""

    owners: tuple[Address | None, ...]
    primaries: tuple[Address, ...]

    def a_slot_of_each(self) -> list[int]:
        """Returns the lowest slot of each primary."""
        return [self.owners.index(primary) for primary in self.primaries]


def topology_of(ranges: Sequence[Sequence[Any]], host: str) -> Topology:
    """Returns the topology in a reply to CLUSTER SLOTS: ranges of first, last, owner, replicas.

    `host` is where the question was sent: a server that does not know its own name says nothing,
    or "?".
    """
    owners: list[Address | None] = [None] * SLOTS
    for first, last, owner, *_ in ranges:
        name, port = owner[0], owner[1]
        where = host if name in (None, b"", b"?") else name.decode()
        owners[first : last + 1] = [(where, int(port))] * (last + 1 - first)
    primaries = dict.fromkeys(owner for owner in owners if owner is not None)
    return Topology(tuple(owners), tuple(primaries))
