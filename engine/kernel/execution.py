"""Runs a command as one SQL function in one transaction, then publishes its effects."""

from __future__ import annotations

from typing import Any

from engine.kernel import errors
from engine.kernel.applied import Applied
from engine.kernel.effects import Effects
from engine.kernel.store import Store


class Execution:
    """Runs commands and publishes their results to the subscribers of `Effects`."""

    def __init__(self, store: Store, effects: Effects) -> None:
        self._store = store
        self._effects = effects

    async def run(self, command: str, *args: Any, lock_timeout_ms: int | None = None) -> Applied:
        """Runs the SQL function `command`, publishes its effects, and returns them.

        Raises `engine.kernel.errors.Refusal` when the answer is no, and
        `sql.database.DatabaseAway` when the outcome is unknown: the command may then be
        repeated, for repeating what is done already changes nothing. With `lock_timeout_ms`
        it waits only so long for a row lock, and is refused with HX017 LOCK then.
        """
        applied = await self._store.call(Applied, command, *args, lock_timeout_ms=lock_timeout_ms)
        self._effects.publish(applied)
        if applied.refused is not None:
            refused = applied.refused
            raise errors.Refusal(
                errors.kind(refused.code, refused.invariant), retry_after_s=refused.retry_after_s
            )
        return applied

    async def run_together(self, command: str, *args: Any) -> list[Applied | None]:
        """Runs a command for many at once in one transaction and publishes the effects of each.

        None stands for those for whom the function did nothing. Raises as `run` does, for all.
        """
        answers = await self._store.call(list[Applied | None], command, *args)
        for applied in answers:
            if applied is not None:
                self._effects.publish(applied)
        return answers
