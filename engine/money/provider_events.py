"""Books events of the payment provider, each of them once."""

from __future__ import annotations

import msgspec

from engine.kernel.applied import Applied
from engine.kernel.execution import Execution
from engine.kernel.store import Store
from engine.live.broadcast_plan import BroadcastPlan
from engine.money.facts import Fact


class ProviderEvents:
    """Books events from webhooks, replays and the reconciler, which may repeat one another."""

    def __init__(self, execution: Execution, store: Store, plan: BroadcastPlan) -> None:
        self._execution = execution
        self._store = store
        self._plan = msgspec.json.encode(plan).decode()

    async def book(self, event_id: str, event_type: str, fact: Fact) -> Applied:
        """Applies the fact in the transaction that records the event; a repeat does nothing.

        Raises `sql.database.DatabaseAway`, or Refusal for a lock that could not be taken:
        nothing is recorded then, and the event must be delivered again.
        """
        return await self._execution.run(
            "book_provider_event",
            event_id,
            event_type,
            msgspec.json.encode(fact).decode(),
            self._plan,
        )

    async def unseen(self, event_ids: list[str]) -> set[str]:
        """Returns those of the events that are not recorded yet."""
        rows = await self._store.rows("unseen_provider_events", event_ids)
        return {row["event_id"] for row in rows}
