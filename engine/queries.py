"""What may be read, each question as one query. Every method raises NOT_FOUND for what is hidden."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, TypeVar
from uuid import UUID

import msgspec
import structlog

from engine.kernel import errors
from engine.kernel.ids import BadgeId, EscrowId, ProofId, ProposalId, TaskId, UserId
from engine.kernel.store import Store
from engine.tasks.codes import CodeBook
from engine.views import (
    BadgeView,
    DisputeView,
    EscrowView,
    LiveView,
    MeView,
    OfferCard,
    ProgressView,
    ProofView,
    ProposalView,
    Snapshot,
    TaskState,
    TaskView,
    TransitionView,
    UserEvent,
)

T = TypeVar("T")
log = structlog.get_logger()

EVENTS_PER_READ = 200
"""Most events one read returns; a reader asks again from where it stands."""


class Log(msgspec.Struct, frozen=True):
    """A stretch of a user's events, and where the counter stood in the same snapshot."""

    last_seq: int
    events: list[UserEvent]


class User(NamedTuple):
    """An account as the border needs it."""

    id: UserId
    role: Literal["poster", "hustler", "dual", "admin"]
    account_status: Literal["ACTIVE", "PAUSED", "SUSPENDED"]


class Engagement(NamedTuple):
    """A task in ACCEPTED that a hustler drives to; degrees."""

    hustler: UserId
    task: TaskId
    poster: UserId
    lat: float
    lng: float
    arrived: bool


class Standing(NamedTuple):
    """How far a connected user's log goes, and whether the account may still use the service."""

    user: UserId
    last_seq: int
    is_suspended: bool


class LastFix(NamedTuple):
    """Where somebody was when a position of theirs was last believed; degrees, metres."""

    lat: float
    lng: float
    accuracy_m: float
    fixed_at: datetime
    kept_for_s: float = 0.0
    """By the database's clock: time that `hustlexp clock advance` lets pass counts."""


class Cursor(NamedTuple):
    """Where a page ended."""

    created_at: datetime
    id: UUID


class Queries:
    """The engine's reading side."""

    def __init__(self, store: Store, codes: CodeBook) -> None:
        self._store = store
        self._codes = codes

    # ── Tasks ───────────────────────────────────────────────────────────────────────────────────

    async def task_view(self, viewer: UserId, task: TaskId) -> TaskView:
        """The task as this viewer may see it; its poster sees the codes while it is held."""
        return self._with_codes(
            _found(await self._store.maybe(TaskView, "task_view", viewer, task))
        )

    async def tasks_page(
        self,
        viewer: UserId,
        role: Literal["poster", "hustler"],
        state: TaskState | None,
        after: Cursor | None,
        limit: int,
    ) -> tuple[list[TaskView], Cursor | None]:
        """The viewer's own tasks, newest first, and where the next page begins."""
        created_at, last_id = after or (None, None)
        rows = await self._store.rows(
            "tasks_page", viewer, role, state, created_at, last_id, limit + 1
        )
        views = [
            self._with_codes(msgspec.json.decode(row["task"], type=TaskView))
            for row in rows[:limit]
        ]
        if len(rows) <= limit:
            return views, None
        return views, Cursor(rows[limit - 1]["created_at"], rows[limit - 1]["id"])

    async def history(self, viewer: UserId, task: TaskId) -> list[TransitionView]:
        """Every step of a task, oldest first."""
        return _found(await self._store.maybe(list[TransitionView], "task_history", viewer, task))

    async def proofs(self, viewer: UserId, task: TaskId) -> list[ProofView]:
        """The proofs of a task, for its two sides."""
        await self._only_sides(viewer, task)
        return await self._store.one(list[ProofView], "task_proofs", task)

    async def proof(self, proof: ProofId) -> ProofView:
        """One proof."""
        return _found(await self._store.maybe(ProofView, "proof_view", proof))

    async def escrow(self, escrow: EscrowId) -> EscrowView:
        """One escrow."""
        return _found(await self._store.maybe(EscrowView, "escrow_view", escrow))

    async def dispute(self, viewer: UserId, task: TaskId) -> DisputeView:
        """A task's dispute with its evidence, for its two sides and admins."""
        await self._only_sides(viewer, task)
        return _found(await self._store.maybe(DisputeView, "dispute_view", task))

    async def proposal(self, proposal: ProposalId) -> ProposalView:
        """One price proposal."""
        return _found(await self._store.maybe(ProposalView, "proposal_view", proposal))

    async def proposals(self, viewer: UserId, task: TaskId) -> list[ProposalView]:
        """The price proposals of a task, for its two sides."""
        await self._only_sides(viewer, task)
        return await self._store.one(list[ProposalView], "task_proposals", task)

    async def _only_sides(self, viewer: UserId, task: TaskId) -> None:
        """NOT_FOUND for who is neither side of the task, nor an admin."""
        if not await self._store.value("task_participant", viewer, task):
            raise errors.refusal("NOT_FOUND")

    async def engagements(self, hustlers: Sequence[UserId]) -> list[Engagement]:
        """The tasks in ACCEPTED that these hustlers drive to."""
        rows = await self._store.rows("engagements", list(hustlers))
        return [
            Engagement(
                row["hustler_id"],
                row["task_id"],
                row["poster_id"],
                row["lat"],
                row["lng"],
                row["arrived"],
            )
            for row in rows
        ]

    # ── Users ───────────────────────────────────────────────────────────────────────────────────

    async def user_for(self, issuer: str, subject: str, role: str, first_name: str) -> User:
        """The user behind a token's subject, created on first use."""
        row = (await self._store.rows("user_for", issuer, subject, role, first_name))[0]
        return User(row["id"], row["role"], row["account_status"])

    async def user(self, user: UserId) -> User:
        """An account as it stands now."""
        rows = await self._store.rows("user_by_id", user)
        if not rows:
            raise errors.refusal("NOT_FOUND")
        return User(rows[0]["id"], rows[0]["role"], rows[0]["account_status"])

    async def me(self, user: UserId) -> MeView:
        """The caller's own account."""
        return _found(await self._store.maybe(MeView, "me_view", user))

    async def progress(self, user: UserId) -> ProgressView:
        """The caller's XP, level, streak, trust, badges and LIVE record."""
        return _found(await self._store.maybe(ProgressView, "progress_view", user))

    async def badge(self, badge: BadgeId) -> BadgeView:
        """One badge."""
        return _found(await self._store.maybe(BadgeView, "badge_view", badge))

    async def live(self, user: UserId) -> LiveView:
        """The caller's LIVE state at this instant."""
        return _found(await self._store.maybe(LiveView, "live_view", user))

    async def last_fix(self, user: UserId) -> LastFix | None:
        """Where the user was when a position of theirs was last believed."""
        rows = await self._store.rows("last_fix", user)
        return LastFix(*rows[0].values()) if rows else None

    async def open_live_sessions(self) -> list[tuple[UserId, datetime]]:
        """Every hustler with an open LIVE session, and since when."""
        rows = await self._store.rows("open_live_sessions")
        return [(row["user_id"], row["active_since"]) for row in rows]

    async def offers(self, user: UserId) -> list[OfferCard]:
        """The caller's open offers, best first."""
        return await self._store.one(list[OfferCard], "offers_view", user)

    async def snapshots(self, users: Sequence[UserId]) -> dict[UserId, Snapshot]:
        """What WELCOME carries, for many users in one query; without who cannot be read."""
        found = {}
        rows = await self._store.rows("snapshots", list(users))
        for user, row in zip(users, rows, strict=True):
            try:
                snapshot = msgspec.json.decode(row[0], type=Snapshot)
            except msgspec.ValidationError:
                # One user's broken row is that user's trouble alone.
                log.exception("snapshot_not_readable", user=str(user))
                continue
            found[UserId(snapshot.user_id)] = self._snapshot_with_codes(snapshot)
        return found

    async def migrations_applied(self) -> dict[str, str]:
        """The ledger of this database: checksum by name of migration or routine file."""
        rows = await self._store.rows("migrations_applied")
        return {row["name"]: row["checksum"] for row in rows}

    async def clock(self) -> datetime:
        """The database's clock, which decides."""
        now: datetime = await self._store.value("clock")
        return now

    # ── Events ──────────────────────────────────────────────────────────────────────────────────

    async def events_after(self, user: UserId, seq: int, limit: int = EVENTS_PER_READ) -> Log:
        """The user's events behind `seq`, in order, at most `limit`."""
        return await self._store.one(Log, "events_after", user, seq, limit)

    async def events_after_many(self, positions: dict[UserId, int]) -> list[UserEvent]:
        """As `events_after` for many users at once, each in order."""
        rows = await self._store.rows(
            "events_after_many", list(positions), list(positions.values()), EVENTS_PER_READ
        )
        return [msgspec.json.decode(row[0], type=UserEvent) for row in rows]

    async def positions(self, users: Sequence[UserId]) -> list[Standing]:
        """Where the counters of these users stand, and who is suspended."""
        rows = await self._store.rows("positions", list(users))
        return [Standing(row["user_id"], row["last_seq"], row["is_suspended"]) for row in rows]

    # ── Codes ───────────────────────────────────────────────────────────────────────────────────

    async def start_codes(self, tasks: Sequence[TaskId]) -> dict[TaskId, str]:
        """The start codes to show the posters in JOB_ASSIGNED."""
        rows = await self._store.rows("code_generations", list(tasks), "START")
        return {
            row["task_id"]: self._codes.code(row["task_id"], "START", row["generation"])
            for row in rows
        }

    def _with_codes(self, view: TaskView) -> TaskView:
        if not isinstance(view.code_generation, int):
            return view
        task = TaskId(view.id)
        return msgspec.structs.replace(
            view,
            code_generation=msgspec.UNSET,
            start_code=self._codes.code(task, "START", view.code_generation),
            completion_code=self._codes.code(task, "COMPLETION", view.code_generation),
        )

    def _snapshot_with_codes(self, snapshot: Snapshot) -> Snapshot:
        return msgspec.structs.replace(
            snapshot, tasks=[self._with_codes(task) for task in snapshot.tasks]
        )


def _found(value: T | None) -> T:
    if value is None:
        raise errors.refusal("NOT_FOUND")
    return value
