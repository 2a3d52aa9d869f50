"""What may be asked of the engine. Each command is one database call; effects follow the commit.

Every method raises `engine.kernel.errors.Refusal` when the answer is no, and `sql.database.DatabaseAway`
when nobody knows: the command may then be repeated, for repeating what is done already changes
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from engine.kernel import errors
from engine.kernel.applied import Applied, EffectSink
from engine.kernel.ids import BadgeId, BroadcastId, EscrowId, ProofId, ProposalId, TaskId, UserId
from engine.kernel.store import Store
from engine.live.broadcast_plan import BroadcastPlan
from engine.money.provider import (
    PROVIDER_TIMEOUT_S,
    PaymentFailed,
    PaymentProvider,
    PaymentRefused,
)
from engine.queries import LastFix
from engine.tasks.codes import CodeBook, CodeKind
from engine.tasks.draft import TaskDraft
from geo.points import LatLng

OfferResponse = Literal["ACCEPT", "DECLINE", "SKIP"]
BroadcastChoice = Literal["SWITCH_TO_STANDARD", "INCREASE_PRICE", "CANCEL"]
EndReason = Literal["MANUAL", "OFFLINE", "FORCED"]


class _Escrow(msgspec.Struct, frozen=True):
    id: UUID
    state: str
    amount: int
    payment: str | None
    poster_id: UUID


class Funding(NamedTuple):
    """An escrow, and what the poster's app needs where the payment must still be confirmed."""

    escrow: EscrowId
    client_secret: str | None = None


class Sighting(NamedTuple):
    """The last believed position of a hustler, and how many seconds ago it was measured."""

    point: LatLng
    age_s: float


class Chosen(NamedTuple):
    """The task that goes on, and the replacement escrow where a higher price must be funded."""

    task: TaskId
    replacement: EscrowId | None = None


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

    async def edit(
        self, poster: UserId, task: TaskId, changes: Mapping[str, object], version: int | None
    ) -> None:
        """Change a task's terms: columns of `tasks` with their new values. HX019, HX010 VERSION."""
        await self._apply("edit_task", poster, task, msgspec.json.encode(changes).decode(), version)

    async def fund(self, poster: UserId, task: TaskId) -> Funding:
        """Charge the price and hold it; for a LIVE task the broadcast starts with it.

        Three steps: intent row, provider call under the row's key, booking. Repeating resumes.
        HX016 PAYMENT when the provider refuses the payment.
        """
        escrow = await self._store.one(_Escrow, "begin_funding", poster, task)
        if escrow.state != "PENDING":
            return Funding(EscrowId(escrow.id))
        try:
            async with asyncio.timeout(PROVIDER_TIMEOUT_S):
                paid = await self._payments.charge(
                    escrow.id, escrow.amount, escrow.poster_id, begun=escrow.payment
                )
        except PaymentRefused as error:
            raise errors.refusal("HX016", "PAYMENT", str(error) or None) from error
        except (PaymentFailed, TimeoutError) as error:
            raise errors.refusal("UNAVAILABLE", "", "The payment did not go through.") from error
        if paid.state == "FAILED":
            await self._apply("drop_payment", escrow.id)
            raise errors.refusal("HX016", "PAYMENT", "The payment was given up; fund again.")
        if paid.state == "SUCCEEDED":
            await self._apply("book_funding", escrow.id, paid.reference, self._plan)
        else:
            await self._apply("note_payment", escrow.id, paid.reference)
        return Funding(EscrowId(escrow.id), paid.client_secret)

    async def approve(self, poster: UserId, task: TaskId) -> None:
        """Accept the proof; the settlement pays the hustler."""
        await self._apply("approve_task", poster, task)

    async def reject(self, poster: UserId, task: TaskId, reason: str) -> None:
        """Turn the proof down; the third time it becomes a dispute."""
        await self._apply("reject_task", poster, task, reason)

    async def cancel(self, poster: UserId, task: TaskId, reason: str | None) -> None:
        """End an unstarted task with a full refund; HX010 once the hustler has arrived.

        The reason NO_SHOW counts against the hustler; HX010 NO-SHOW before ETA + 15 min.
        """
        await self._apply("cancel_task", poster, task, reason)

    async def choose(
        self, poster: UserId, task: TaskId, choice: BroadcastChoice, price_cents: int | None = None
    ) -> Chosen:
        """After a broadcast nobody accepted: switch (a successor), a higher price, or the end."""
        applied = await self._apply("choose_after_broadcast", poster, task, choice, price_cents)
        if applied.subject_id is not None and choice == "INCREASE_PRICE":
            return Chosen(task, EscrowId(applied.subject_id))
        return Chosen(TaskId(applied.subject_id or task))

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

    async def arrived(self, hustler: UserId, task: TaskId, fix: Sighting | None) -> None:
        """Record the arrival: by a fix of the last 5 minutes within 150 m of the task.

        HX021 ARRIVAL for such a fix elsewhere; without one it is a claim, which binds nobody.
        """
        lat, lng, age_s = (fix.point.lat, fix.point.lng, fix.age_s) if fix else (None, None, None)
        await self._apply("mark_arrived", hustler, task, lat, lng, age_s)

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
        return ProofId(_subject(applied))

    async def submit_photos(
        self, hustler: UserId, task: TaskId, uploads: Sequence[UUID]
    ) -> ProofId:
        """1 to 5 own unused uploads as proof. HX301 with too few, HX022 for any other upload."""
        applied = await self._apply("submit_photo_proof", hustler, task, list(uploads))
        return ProofId(_subject(applied))

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

    async def end_impossible(self, hustler: UserId) -> Applied:
        """End a session whose positions were impossible; the third within 30 days is a ban."""
        return await self._apply("end_impossible_session", hustler)

    async def keep_fix(self, user: UserId, fix: LastFix) -> None:
        """Keep where somebody was last believed to be, unless something newer is kept."""
        await self._store.execute("keep_fix", user, fix.lat, fix.lng, fix.accuracy_m, fix.fixed_at)

    async def end_away(self, hustler: UserId) -> Applied:
        """End the session of a hustler who has been away, unless they hold a task."""
        return await self._apply("end_away", hustler)

    # ── Either side ─────────────────────────────────────────────────────────────────────────────

    async def dispute(self, user: UserId, task: TaskId, reason: str) -> None:
        """Lock the money and ask for a decision; HX010 before arrival."""
        await self._apply("dispute_task", user, task, reason)

    async def add_evidence(
        self, user: UserId, task: TaskId, text: str, uploads: Sequence[UUID]
    ) -> None:
        """What one side has to say in the task's dispute; at most 20 pieces each."""
        await self._apply("add_evidence", user, task, text, list(uploads))

    async def propose_price(self, user: UserId, task: TaskId, price_cents: int) -> ProposalId:
        """Another price for an accepted task, before the start code."""
        return ProposalId(_subject(await self._apply("propose_price", user, task, price_cents)))

    async def answer_proposal(
        self, user: UserId, task: TaskId, proposal: ProposalId, *, agrees: bool
    ) -> None:
        """Agree to the other side's price (the poster then funds the replacement), or decline."""
        await self._apply("answer_proposal", user, task, proposal, agrees)

    # ── Anyone ──────────────────────────────────────────────────────────────────────────────────

    async def set_time_zone(self, user: UserId, time_zone: str) -> None:
        """Whose days the streak counts; VALIDATION_ERROR for a name the server does not know."""
        await self._apply("set_time_zone", user, time_zone)

    async def show_badge(self, user: UserId, badge: BadgeId) -> None:
        """Record that the unlock animation was shown; only the first time counts."""
        await self._apply("show_badge", user, badge)

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


def _subject(applied: Applied) -> UUID:
    if applied.subject_id is None:
        raise RuntimeError("a command that makes something answered nothing")
    return applied.subject_id


def _task(applied: Applied) -> TaskId:
    if applied.task_id is None:
        raise RuntimeError("a command about a task answered none")
    return TaskId(applied.task_id)
