"""What may be asked of the engine. Each command is one database call; effects follow the commit.

Every method raises `engine.errors.Refusal` when the answer is no, and `sql.database.DatabaseAway`
when nobody knows: the command may then be repeated, for repeating what is done already changes
nothing.
"""

from __future__ import annotations

import asyncio
from typing import Literal
from uuid import UUID

import msgspec

from engine import errors
from engine.applied import Applied, EffectSink
from engine.ids import BroadcastId, EscrowId, ProofId, TaskId, UserId
from engine.money.provider import PROVIDER_TIMEOUT_S, PaymentFailed, PaymentProvider
from engine.plan import BroadcastPlan
from engine.store import Store
from engine.tasks.codes import CodeBook, CodeKind
from engine.tasks.draft import TaskDraft

OfferResponse = Literal["ACCEPT", "DECLINE", "SKIP"]
BroadcastChoice = Literal["SWITCH_TO_STANDARD", "CANCEL"]
EndReason = Literal["MANUAL", "OFFLINE", "FORCED"]


class _Escrow(msgspec.Struct, frozen=True):
    id: UUID
    state: str
    amount: int


class Commands:
    """The engine's door for the gateway."""

    def __init__(
        self,
        store: Store,
        effects: EffectSink,
        codes: CodeBook,
        payments: PaymentProvider,
        plan: BroadcastPlan,
    ) -> None:
        self._store = store
        self._effects = effects
        self._codes = codes
        self._payments = payments
        self._plan = msgspec.json.encode(plan).decode()

    # ── Poster ──────────────────────────────────────────────────────────────────────────────────

    async def create_task(self, poster: UserId, draft: TaskDraft) -> TaskId:
        """A new unfunded task. HX902 below $15.00 for LIVE, HX503 for who may not post."""
        applied = await self._apply("create_task", poster, msgspec.json.encode(draft).decode())
        return _task(applied)

    async def fund(self, poster: UserId, task: TaskId) -> EscrowId:
        """Charge the price and hold it; for a LIVE task the broadcast starts with it.

        Three steps: intent row, provider call under the row's key, booking. Repeating resumes.
        """
        escrow = await self._store.one(_Escrow, "begin_funding", poster, task)
        if escrow.state == "PENDING":
            try:
                async with asyncio.timeout(PROVIDER_TIMEOUT_S):
                    payment = await self._payments.charge(escrow.id, escrow.amount)
            except (PaymentFailed, TimeoutError) as error:
                raise errors.refusal(
                    "UNAVAILABLE", "", "The payment did not go through."
                ) from error
            await self._apply("book_funding", escrow.id, payment, self._plan)
        return EscrowId(escrow.id)

    async def approve(self, poster: UserId, task: TaskId) -> None:
        """Accept the proof; the settlement pays the hustler."""
        await self._apply("approve_task", poster, task)

    async def cancel(self, poster: UserId, task: TaskId, reason: str | None) -> None:
        """End an unstarted task with a full refund; HX010 once the hustler has arrived."""
        await self._apply("cancel_task", poster, task, reason)

    async def choose(self, poster: UserId, task: TaskId, choice: BroadcastChoice) -> TaskId:
        """After a broadcast nobody accepted: the successor's id for a switch, else the task's."""
        applied = await self._apply("choose_after_broadcast", poster, task, choice)
        return TaskId(applied.subject_id or task)

    # ── Hustler ─────────────────────────────────────────────────────────────────────────────────

    async def accept(self, hustler: UserId, task: TaskId, version: int | None = None) -> Applied:
        """Outcome WON, TAKEN or EXPIRED; the row lock decides (design §6)."""
        return await self._apply("accept_task", hustler, task, version)

    async def respond(
        self,
        hustler: UserId,
        broadcast: BroadcastId,
        response: OfferResponse,
        decline_reason: str | None = None,
    ) -> Applied:
        """Outcome WON, TAKEN, EXPIRED, DECLINED or SKIPPED."""
        return await self._apply("respond_to_offer", hustler, broadcast, response, decline_reason)

    async def arrived(self, hustler: UserId, task: TaskId) -> None:
        """Record the arrival, by the hustler's word or by a position within 150 m."""
        await self._apply("mark_arrived", hustler, task)

    async def start(self, hustler: UserId, task: TaskId, code: str) -> None:
        """Begin the work. HX018 for a wrong code, and for any code while it is locked."""
        correct = await self._is_correct(task, "START", code)
        await self._apply("start_task", hustler, task, correct)

    async def submit_proof(self, hustler: UserId, task: TaskId, code: str | None) -> ProofId:
        """The completion code as proof, or none where the task asks for none."""
        if code is None:
            applied = await self._apply("submit_proof", hustler, task, "NONE", True)
        else:
            correct = await self._is_correct(task, "COMPLETION", code)
            applied = await self._apply("submit_proof", hustler, task, "CODE", correct)
        if applied.subject_id is None:
            raise RuntimeError("submit_proof answered no proof")
        return ProofId(applied.subject_id)

    async def release(self, hustler: UserId, task: TaskId, reason: str | None) -> None:
        """Give the task back; a successor with the same escrow is on offer at once."""
        await self._apply("release_task", hustler, task, reason, self._plan)

    async def go_live(
        self, hustler: UserId, radius_miles: float | None, categories: list[str] | None
    ) -> Applied:
        """Open a LIVE session or change its limits. HX904 too soon, HX905 banned."""
        return await self._apply("go_live", hustler, radius_miles, categories)

    async def end_live(self, hustler: UserId, reason: EndReason) -> Applied:
        """End the LIVE session, if there is one; off is always allowed."""
        return await self._apply("end_live", hustler, reason)

    async def end_away(self, hustler: UserId) -> Applied:
        """End the session of a hustler who has been away, unless they hold a task."""
        return await self._apply("end_away", hustler)

    # ── Common ──────────────────────────────────────────────────────────────────────────────────

    async def _is_correct(self, task: TaskId, kind: CodeKind, code: str) -> bool:
        generation = await self._store.value("code_generation", task, kind)
        return generation is not None and self._codes.is_correct(task, kind, generation, code)

    async def _apply(self, name: str, *args: object) -> Applied:
        applied = await self._store.one(Applied, name, *args)
        self._effects.applied(applied)
        if applied.refused is not None:
            refused = applied.refused
            raise errors.Refusal(
                errors.kind(refused.code, refused.invariant), retry_after_s=refused.retry_after_s
            )
        return applied


def _task(applied: Applied) -> TaskId:
    if applied.task_id is None:
        raise RuntimeError("a command about a task answered none")
    return TaskId(applied.task_id)
