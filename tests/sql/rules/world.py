"""A town with a row of every kind in every state: what violations are tried on."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from engine.kernel.ids import TaskId, UserId
from tests.support.market import Market


@dataclass(frozen=True)
class World:
    """Its rows by name, as quoted literals."""

    ids: dict[str, str]


async def found(market: Market) -> World:
    """Builds the town through the real commands."""
    builder = _Builder(market)
    await builder.people()
    await builder.waiting()
    await builder.work()
    await builder.bargains()
    await builder.ends()
    await builder.admin()
    return World({name: f"'{value}'" for name, value in builder.rows.items()})


class _Builder:
    def __init__(self, market: Market) -> None:
        self.market = market
        self.rows: dict[str, UUID | str] = {}

    async def _keep(self, name: str, task: TaskId, hustler: UserId | None = None) -> None:
        """A task with what belongs to it: NAME, NAME_escrow, NAME_hustler, NAME_poster."""
        self.rows[name] = task
        self.rows[f"{name}_poster"] = await self.market.poster_of(task)
        if hustler is not None:
            self.rows[f"{name}_hustler"] = hustler
        for kind, query in _BELONGINGS.items():
            found = await self.market.app.fetchval(query, task)
            if found is not None:
                self.rows[f"{name}_{kind}"] = found

    async def people(self) -> None:
        for role in ("poster", "hustler", "admin"):
            self.rows[role] = await self.market.user(role)
        self.rows["photo"] = await self.market.photo(UserId(UUID(str(self.rows["hustler"]))))

    async def waiting(self) -> None:
        market = self.market
        draft = await market.task("STANDARD")
        await market.store.perform("begin_funding", await market.poster_of(draft), draft)
        await self._keep("draft", draft)
        await self._keep("bare", await market.task("STANDARD"))
        await self._keep("unfunded", await market.task())
        await self._keep("open", await market.funded("STANDARD"))
        live = await market.funded()
        await self._keep("live", live, await market.offered(live))
        over = await market.funded()
        await market.owner.execute(
            "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock()"
            " where task_id = $1",
            over,
        )
        await self._keep("over", over)

    async def work(self) -> None:
        market = self.market
        await self._keep("held", *await market.accepted("STANDARD"))
        await self._keep("rushed", *await market.accepted())
        await self._keep("working", *await market.working())
        await self._keep("submitted", *await market.photographed())
        await self._keep("rejected", *await market.rejected())
        disputed, hustler = await market.disputed()
        await market.commands.disputes.add_evidence(
            hustler, disputed, "It hangs.", [await market.photo(hustler)]
        )
        await self._keep("disputed", disputed, hustler)
        for name, state in (("asked", "EVIDENCE_REQUESTED"), ("escalated", "ESCALATED")):
            task, hustler = await market.disputed()
            await market.app.execute(
                "update disputes set state = $2 where task_id = $1", task, state
            )
            await self._keep(name, task, hustler)
        for name, state in (("drafted", "PENDING"), ("lapsed", "EXPIRED")):
            task, hustler = await market.accepted()
            await market.app.execute(
                "insert into proofs (task_id, hustler_id, kind) values ($1, $2, 'PHOTOS')",
                task,
                hustler,
            )
            await market.app.execute("update proofs set state = $2 where task_id = $1", task, state)
            await self._keep(name, task, hustler)

    async def bargains(self) -> None:
        market = self.market
        await self._keep("proposed", *await market.proposed())
        await self._keep("agreed", *await market.agreed())
        for name, state in (("declined", "DECLINED"), ("withdrawn", "LAPSED")):
            task, hustler = await market.proposed()
            await market.app.execute(
                "update price_proposals set state = $2 where task_id = $1", task, state
            )
            await self._keep(name, task, hustler)
        applied, hustler = await market.agreed()
        await market.commands.money.fund(await market.poster_of(applied), applied)
        await self._keep("applied", applied, hustler)
        released, hustler = await market.accepted()
        await market.commands.tasks.release(hustler, released, None)
        await self._keep("released", released, hustler)
        self.rows["heir"] = await market.app.fetchval(
            "select id from tasks where predecessor_id = $1", released
        )

    async def ends(self) -> None:
        market = self.market
        await self._keep("completed", *await market.completed())
        stopped, hustler = await market.completed()
        await market.app.execute(
            "select hold_settlement(s.id, 'closed account') from settlements as s"
            " inner join escrows as e on e.id = s.escrow_id where e.task_id = $1",
            stopped,
        )
        await self._keep("stopped", stopped, hustler)
        await self._keep("paid", *await market.paid())
        await self._keep("split", *await market.resolved("SPLIT", 1_000))
        refunded = await market.funded()
        await market.commands.tasks.cancel(await market.poster_of(refunded), refunded, None)
        await market.settle(refunded)
        await self._keep("refunded", refunded)
        cancelled = await market.funded()
        await market.commands.tasks.cancel(await market.poster_of(cancelled), cancelled, None)
        await self._keep("cancelled", cancelled)
        void = await market.task()
        await market.store.perform("begin_funding", await market.poster_of(void), void)
        await market.commands.tasks.cancel(await market.poster_of(void), void, None)
        await self._keep("void", void)
        late = await market.task()
        await market.store.perform("begin_funding", await market.poster_of(late), late)
        await market.commands.tasks.cancel(await market.poster_of(late), late, None)
        await market.app.execute(
            "select book_funding(id, 'pi_late', '{}') from escrows where task_id = $1", late
        )
        await self._keep("late", late)
        expired = await market.task("STANDARD")
        await market.owner.execute(
            "update tasks set deadline = hx_clock() - interval '1 second' where id = $1", expired
        )
        await market.owner.execute("update tasks set state = 'EXPIRED' where id = $1", expired)
        await self._keep("expired", expired)

    async def admin(self) -> None:
        market, rows = self.market, self.rows
        await market.app.execute(
            "select book_provider_event('evt_1', 'charge.dispute.created', jsonb_build_object("
            "'kind', 'CHARGEBACK_OPENED', 'reference', 'dp_1', 'amount_cents', 4000,"
            " 'payment', (select stripe_payment_intent_id from escrows where id = $1)), '{}')",
            rows["paid_escrow"],
        )
        await market.app.execute(
            "select book_provider_event('evt_0', 'refund.created', jsonb_build_object("
            "'kind', 'REFUND_SUCCEEDED', 'reference', 're_hand', 'amount_cents', 100,"
            " 'payment', (select stripe_payment_intent_id from escrows where id = $1)), '{}')",
            rows["paid_escrow"],
        )
        await market.app.execute("select set_payout_account($1, 'acct_1', true)", rows["hustler"])
        await market.app.execute(
            "select flag_xp($1, x.id, 'Looked odd.') from xp_ledger as x", rows["admin"]
        )
        await market.app.execute("select open_item('STUCK', 'a'), open_item('STUCK', 'b')")
        await market.app.execute(
            "select close_admin_item($1, id, 'seen') from admin_items where subject = 'a'",
            rows["admin"],
        )
        await market.app.execute(
            "insert into idempotency_keys (user_id, route, key, request_hash)"
            " values ($1, 'r', 'k', '')",
            rows["poster"],
        )


_BELONGINGS = {
    "escrow": "select id from escrows where task_id = $1 order by is_current desc limit 1",
    "broadcast": "select id from live_broadcasts where task_id = $1",
    "proof": "select id from proofs where task_id = $1 order by created_at desc limit 1",
    "dispute": "select id from disputes where task_id = $1",
    "proposal": "select id from price_proposals where task_id = $1",
    "replacement": "select id from escrows where task_id = $1 and replaces is not null",
    "replaced": "select replaces from escrows where task_id = $1 and replaces is not null",
    "settlement": (
        "select s.id from settlements as s inner join escrows as e on e.id = s.escrow_id"
        " where e.task_id = $1"
    ),
}
