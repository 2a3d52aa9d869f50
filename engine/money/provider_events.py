"""Books events of the payment provider, each of them once."""

from __future__ import annotations

import msgspec

from engine.kernel.applied import Applied
from engine.kernel.execution import Execution
from engine.kernel.store import Store
from engine.live.broadcast_start import BroadcastStart
from engine.money.facts import Fact


class ProviderEvents:
    """Books events from webhooks, replays and the reconciler, which may repeat one another."""

    def __init__(self, execution: Execution, store: Store, start: BroadcastStart) -> None:
        self._execution = execution
        self._store = store
        self._start = start

    async def book(self, event_id: str, event_type: str, fact: Fact) -> Applied:
        """Applies the fact in the transaction that records the event; a repeat does nothing.

        Raises `sql.database.DatabaseAway`, or Refusal for a lock that could not be taken:
        nothing is recorded then, and the event must be delivered again.
        """
        wave = None
        if fact.kind == "PAYMENT_SUCCEEDED":
            wave = await self._start.wave_of_payment(fact.escrow_id, fact.payment)
        return await self._execution.run(
            "book_provider_event",
            event_id,
            event_type,
            msgspec.json.encode(fact).decode(),
            self._start.plan,
            wave,
        )

    async def unseen(self, event_ids: list[str]) -> set[str]:
        """Returns those of the events that are not recorded yet."""
        rows = await self._store.rows("unseen_provider_events", event_ids)
        return {row["event_id"] for row in rows}
