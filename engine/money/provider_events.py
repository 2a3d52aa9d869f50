"""Books what the provider tells, each event once."""

from __future__ import annotations

import msgspec

from engine.kernel.applied import Applied
from engine.kernel.execution import Execution
from engine.kernel.store import Store
from engine.live.broadcast_plan import BroadcastPlan
from engine.money.facts import Fact


class ProviderEvents:
    """The one road of webhooks, replays and the reconciler: they may tell the same thing thrice."""

    def __init__(self, execution: Execution, store: Store, plan: BroadcastPlan) -> None:
        self._execution = execution
        self._store = store
        self._plan = msgspec.json.encode(plan).decode()

    async def book(self, event_id: str, event_type: str, fact: Fact) -> Applied:
        """Apply the fact in the transaction that records the event; a repeated event does nothing.

        Raises `sql.database.DatabaseAway`, or Refusal for a lock that was not to be had: nothing is
        recorded then, and the event has to come again.
        """
        return await self._execution.run(
            "book_provider_event",
            event_id,
            event_type,
            msgspec.json.encode(fact).decode(),
            self._plan,
        )

    async def unseen(self, event_ids: list[str]) -> set[str]:
        """Those of the events that are not recorded yet."""
        rows = await self._store.rows("unseen_provider_events", event_ids)
        return {row["event_id"] for row in rows}
