"""A small market for tests: people, funded tasks and offers, made through the real commands."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from engine.api.commands import Commands
from engine.api.queries import Queries
from engine.kernel.applied import Applied
from engine.kernel.effects import Effects, Subscriber
from engine.kernel.execution import Execution
from engine.kernel.ids import BroadcastId, TaskId, UserId
from engine.kernel.states import Mode
from engine.kernel.store import Store
from engine.kernel.timers import Timers
from engine.kernel.wake import Wake
from engine.money.provider import PaymentProvider
from engine.money.providers.simulated import SimulatedPayments
from engine.money.settlements import SettlementWorker
from engine.people.queries import TokenSubject
from engine.tasks.codes import CodeBook, TaskCodes
from engine.tasks.commands import KnownPosition
from engine.tasks.draft import TaskDraft
from geo.points import LatLng
from sql.database import Database
from tests.support.starts import lone_start

_names = itertools.count()


class RecordingEffects:
    """Effects that keep what was applied, in order."""

    def __init__(self) -> None:
        self.committed: list[Applied] = []

    def applied(self, applied: Applied) -> None:
        """Keeps it."""
        self.committed.append(applied)

    def types_for(self, user: UserId) -> list[str]:
        """The types of all events this user was sent, in order."""
        return [e.type for a in self.committed for e in a.events if e.user_id == user]


def execution_on(store: Store, *subscribers: Subscriber) -> Execution:
    """Runs commands for subscribers that must not fail."""

    def failed(subscriber: str) -> None:
        raise AssertionError(f"{subscriber} raised: see the log")

    return Execution(store, Effects(subscribers, failed))


def settlement_worker(
    store: Store, payments: PaymentProvider, *subscribers: Subscriber
) -> SettlementWorker:
    """A settlement worker that is called, not woken."""
    execution = execution_on(store, *subscribers)
    return SettlementWorker(execution, store, payments, Wake(lambda _: False), lambda _: None)


class Market:
    """The engine on one database, with people to use it."""

    def __init__(
        self,
        database: Database,
        app: asyncpg.Connection,
        owner: asyncpg.Connection,
        payments: PaymentProvider,
    ) -> None:
        self.app = app
        self.owner = owner
        self.effects = RecordingEffects()
        self.codes = CodeBook(b"k" * 32)
        self.store = Store(database)
        self.execution = execution_on(self.store, self.effects)
        self.start = lone_start(self.store)
        codes = TaskCodes(self.store, self.codes)
        self.commands = Commands.open(self.execution, self.store, codes, payments, self.start)
        self.queries = Queries.open(self.store, codes)
        self.worker = settlement_worker(self.store, payments, self.effects)
        self.timers = Timers(self.execution, self.store, lambda _: None)

    async def user(self, role: str, trust_tier: int = 2) -> UserId:
        """Somebody new."""
        subject = TokenSubject("test", f"{role}-{next(_names)}-{uuid.uuid4()}", role, "Ada")
        (user,) = await self.queries.people.users_for([subject])
        await self.owner.execute(
            "update users set trust_tier = $2 where id = $1", user.id, trust_tier
        )
        return user.id

    async def live_hustler(self) -> UserId:
        """A hustler in an ACTIVE session."""
        hustler = await self.user("hustler")
        await self.commands.live.go_live(hustler, None, None)
        return hustler

    async def task(
        self,
        mode: Mode = "LIVE",
        *,
        poster: UserId | None = None,
        price_cents: int = 4_000,
        deadline: datetime | None = None,
        requires_proof: bool = True,
    ) -> TaskId:
        """An unfunded task."""
        return await self.commands.tasks.create(
            poster or await self.user("poster"),
            TaskDraft(
                mode=mode,
                title="Hang a door",
                description="It came off.",
                category="handyman",
                price_cents=price_cents,
                lat=37.77,
                lng=-122.42,
                address="1 Main St",
                place_lat=37.771,
                place_lng=-122.421,
                partition=7,
                deadline=deadline,
                requires_proof=requires_proof,
            ),
        )

    async def funded(self, mode: Mode = "LIVE", **how: Any) -> TaskId:
        """A funded task; a LIVE one is being broadcast."""
        task = await self.task(mode, **how)
        await self.commands.money.fund(await self.poster_of(task), task)
        return task

    async def poster_of(self, task: TaskId) -> UserId:
        """Who posted it."""
        poster: UserId = await self.app.fetchval("select poster_id from tasks where id = $1", task)
        return poster

    async def broadcast_of(self, task: TaskId) -> BroadcastId:
        """Its newest broadcast."""
        found: BroadcastId = await self.app.fetchval(
            "select id from live_broadcasts where task_id = $1 order by started_at desc limit 1",
            task,
        )
        return found

    async def offer(self, task: TaskId, hustler: UserId, distance_miles: float = 1.0) -> None:
        """An open offer, as the wave writes it."""
        await self.app.execute(
            "insert into offers (broadcast_id, hustler_id, task_id, distance_miles, matching_score)"
            " values ($1, $2, $3, $4, 0.8)",
            await self.broadcast_of(task),
            hustler,
            task,
            distance_miles,
        )

    async def offered(self, task: TaskId) -> UserId:
        """A live hustler with an open offer of this task."""
        hustler = await self.live_hustler()
        await self.offer(task, hustler)
        return hustler

    async def accepted(self, mode: Mode = "LIVE", **how: Any) -> tuple[TaskId, UserId]:
        """A task in ACCEPTED and who holds it."""
        task = await self.funded(mode, **how)
        hustler = await self.offered(task) if mode == "LIVE" else await self.user("hustler")
        await self.commands.live.accept(hustler, task)
        return task, hustler

    async def arrive(self, hustler: UserId, task: TaskId) -> None:
        """A position at the place of this market's tasks."""
        await self.commands.tasks.arrived(hustler, task, KnownPosition(LatLng(37.77, -122.42), 0.0))

    async def submitted(self, mode: Mode = "LIVE", **how: Any) -> tuple[TaskId, UserId]:
        """A task in PROOF_SUBMITTED and who holds it."""
        task, hustler = await self.working(mode, **how)
        await self.commands.proofs.submit(hustler, task, self.codes.code(task, "COMPLETION", 1))
        return task, hustler

    async def working(self, mode: Mode = "LIVE", **how: Any) -> tuple[TaskId, UserId]:
        """A task in WORKING and who holds it."""
        task, hustler = await self.accepted(mode, **how)
        await self.commands.tasks.start(hustler, task, self.codes.code(task, "START", 1))
        return task, hustler

    async def photo(self, user: UserId) -> UUID:
        """A photo of this user that nothing uses yet."""
        name = f"photo-{next(_names)}-{uuid.uuid4()}"
        made: str = await self.app.fetchval(
            "select add_upload($1, jsonb_build_object('storage_key', $2::text, 'content_type',"
            " 'image/jpeg', 'bytes', 1000, 'width', 40, 'height', 30, 'sha256', repeat('ab', 32),"
            " 'gps_latitude', 37.77, 'gps_longitude', -122.42)) ->> 'upload_id'",
            user,
            name,
        )
        return UUID(made)

    async def photographed(self, mode: Mode = "LIVE", **how: Any) -> tuple[TaskId, UserId]:
        """A task in PROOF_SUBMITTED with a photo, and who holds it."""
        task, hustler = await self.working(mode, **how)
        await self.commands.proofs.submit_photos(hustler, task, [await self.photo(hustler)])
        return task, hustler

    async def rejected(self, mode: Mode = "LIVE", **how: Any) -> tuple[TaskId, UserId]:
        """A task whose first proof was turned down, in WORKING again."""
        task, hustler = await self.photographed(mode, **how)
        await self.commands.proofs.reject(
            await self.poster_of(task), task, "It still hangs crooked."
        )
        return task, hustler

    async def completed(self, mode: Mode = "LIVE", **how: Any) -> tuple[TaskId, UserId]:
        """An approved task whose payout waits for the worker."""
        task, hustler = await self.submitted(mode, **how)
        await self.commands.proofs.approve(await self.poster_of(task), task)
        return task, hustler

    async def paid(self, mode: Mode = "LIVE", **how: Any) -> tuple[TaskId, UserId]:
        """A task whose hustler has the money."""
        task, hustler = await self.completed(mode, **how)
        await self.settle(task)
        return task, hustler

    async def disputed(self, mode: Mode = "LIVE", **how: Any) -> tuple[TaskId, UserId]:
        """A task with a photo whose poster disputes it."""
        task, hustler = await self.photographed(mode, **how)
        await self.commands.disputes.open(await self.poster_of(task), task, "It fell down again.")
        return task, hustler

    async def resolved(
        self, outcome: str, release_cents: int | None = None, mode: Mode = "LIVE"
    ) -> tuple[TaskId, UserId]:
        """A dispute that an admin has decided, the money moved."""
        task, hustler = await self.disputed(mode)
        await self.app.execute(
            "select resolve_dispute($2, id, $3, $4, 'Seen.') from disputes where task_id = $1",
            task,
            await self.user("admin"),
            outcome,
            release_cents,
        )
        await self.settle(task)
        return task, hustler

    async def proposed(self, price_cents: int = 5_000) -> tuple[TaskId, UserId]:
        """An accepted task whose hustler wants another price."""
        task, hustler = await self.accepted()
        await self.commands.pricing.propose(hustler, task, price_cents)
        return task, hustler

    async def agreed(self, price_cents: int = 5_000) -> tuple[TaskId, UserId]:
        """The same, and the poster agreed: a replacement escrow waits for its payment."""
        task, hustler = await self.proposed(price_cents)
        proposal = await self.app.fetchval(
            "select id from price_proposals where task_id = $1", task
        )
        await self.commands.pricing.answer(await self.poster_of(task), task, proposal, agrees=True)
        return task, hustler

    async def settle(self, task: TaskId) -> None:
        """Books every leg of this task's settlements, and of no other's."""
        await self.app.execute(
            "select book_leg(s.id, l.leg, lower(l.leg) || '-' || s.id)"
            " from settlements as s inner join escrows as e on e.id = s.escrow_id"
            " cross join (values ('TRANSFER'), ('REFUND')) as l (leg)"
            " where e.task_id = $1 order by l.leg desc",
            task,
        )

    async def state(self, task: TaskId) -> str:
        """The task's state as stored."""
        state: str = await self.app.fetchval("select state from tasks where id = $1", task)
        return state

    async def escrow_state(self, task: TaskId) -> str | None:
        """The state of its current escrow."""
        state: str | None = await self.app.fetchval(
            "select state from escrows where task_id = $1 and is_current", task
        )
        return state

    async def advance(self, interval: str) -> None:
        """Move the database's clock forward; only in a database of one's own."""
        await self.owner.execute(
            "insert into clock_offset (amount) values ($1::text::interval)"
            " on conflict (singleton) do update set amount = clock_offset.amount + excluded.amount",
            interval,
        )
        await self.owner.fetchval("select ensure_partitions()")


@asynccontextmanager
async def open_market(
    dsn: str, owner_dsn: str, payments: PaymentProvider | None = None
) -> AsyncIterator[Market]:
    """The engine and two raw connections (application and owner) on one database."""
    database = await Database.open(dsn)
    app = await asyncpg.connect(dsn)
    owner = await asyncpg.connect(owner_dsn)
    try:
        yield Market(database, app, owner, payments or SimulatedPayments())
    finally:
        await app.close()
        await owner.close()
        await database.close()
