"""Runs commands: one SQL function, one transaction, and then whoever must hear of it."""

from __future__ import annotations

from typing import Any

from engine.kernel import errors
from engine.kernel.applied import Applied
from engine.kernel.effects import Effects
from engine.kernel.store import Store


class Execution:
    """The one object that runs a command and publishes what it did."""

    def __init__(self, store: Store, effects: Effects) -> None:
        self._store = store
        self._effects = effects

    async def run(self, command: str, *args: Any, lock_timeout_ms: int | None = None) -> Applied:
        """Call the SQL function `command`, publish its effects, and return them.

        Raises `engine.kernel.errors.Refusal` when the answer is no, and
        `sql.database.DatabaseAway` when nobody knows: the command may then be repeated, for
        repeating what is done already changes nothing. With `lock_timeout_ms` it waits only so
        long for a row that somebody else holds, and is refused with HX017 LOCK then.
        """
        applied = await self._store.call(Applied, command, *args, lock_timeout_ms=lock_timeout_ms)
        self._effects.publish(applied)
        if applied.refused is not None:
            refused = applied.refused
            raise errors.Refusal(
                errors.kind(refused.code, refused.invariant), retry_after_s=refused.retry_after_s
            )
        return applied
