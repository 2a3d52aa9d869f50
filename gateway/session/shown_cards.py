"""The offer cards that one socket shows: each broadcast at most once, until its end.

A card under answer keeps its close message back until the outcome is known, so that the winner's
own socket gets WON and not that the task is gone.
"""

from __future__ import annotations

from uuid import UUID


class ShownCards:
    """The cards shown on one socket: broadcast id → task id."""

    __slots__ = ("_answering", "_shown", "_withdrawn")

    def __init__(self) -> None:
        self._shown: dict[UUID, UUID] = {}
        self._answering: dict[UUID, tuple[UUID, bytes | None]] = {}
        self._withdrawn: set[UUID] = set()

    def __contains__(self, broadcast_id: UUID) -> bool:
        return broadcast_id in self._shown or broadcast_id in self._answering

    def __len__(self) -> int:
        return len(self._shown) + len(self._answering)

    def broadcasts(self) -> list[UUID]:
        """Returns every broadcast whose end this socket must get: shown or withdrawn."""
        return [*self._shown, *self._answering, *self._withdrawn]

    def awaits_end(self, broadcast_id: UUID) -> bool:
        """Returns whether the broadcast is one of `broadcasts`."""
        return broadcast_id in self or broadcast_id in self._withdrawn

    @property
    def has_withdrawn(self) -> bool:
        """Whether a card was withdrawn and may be shown again when it is open again."""
        return bool(self._withdrawn)

    def show(self, broadcast_id: UUID, task_id: UUID) -> bool:
        """Adds a card; returns whether it is new on this socket."""
        # each look-up hashes an id, in Python: none in what is empty
        if broadcast_id in self._shown or (self._answering and broadcast_id in self._answering):
            return False
        self._shown[broadcast_id] = task_id
        if self._withdrawn:
            self._withdrawn.discard(broadcast_id)
        return True

    def hide(self, broadcast_id: UUID, close_message: bytes) -> bytes | None:
        """Removes a card; returns the close message to write now.

        None where the card was not shown or is under answer.
        """
        self._withdrawn.discard(broadcast_id)
        if broadcast_id in self._answering:
            self._answering[broadcast_id] = (self._answering[broadcast_id][0], close_message)
            return None
        return close_message if self._shown.pop(broadcast_id, None) is not None else None

    def withdraw(self) -> list[tuple[UUID, UUID]]:
        """Withdraws every card that is not under answer; returns (broadcast, task) of each."""
        gone = list(self._shown.items())
        self._withdrawn.update(self._shown)
        self._shown.clear()
        return gone

    def answering(self, broadcast_id: UUID) -> None:
        """Marks a card as under answer: its outcome is not known yet."""
        task_id = self._shown.pop(broadcast_id, None)
        if task_id is not None:
            self._answering[broadcast_id] = (task_id, None)

    def settled(self, broadcast_id: UUID) -> None:
        """Removes a card whose answer was final: won, declined or skipped."""
        self._answering.pop(broadcast_id, None)
        self._shown.pop(broadcast_id, None)
        self._withdrawn.discard(broadcast_id)

    def unsettled(self, broadcast_id: UUID) -> bytes | None:
        """Ends an answer that changed nothing; returns the close message that is due, if any."""
        task_id, close_message = self._answering.pop(broadcast_id, (None, None))
        if task_id is not None and close_message is None:
            self._shown[broadcast_id] = task_id
        return close_message
