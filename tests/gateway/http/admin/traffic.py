"""A market where everything happens: each scene is one way a task, its money or a person can go."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import msgspec

from engine.api.admin import Admin
from engine.disputes.admin import Outcome
from engine.kernel.applied import Applied
from engine.kernel.errors import Refusal
from engine.kernel.ids import AwardId, BadgeId, DisputeId, ItemId, SettlementId, TaskId, UserId
from engine.kernel.states import Mode
from engine.live.broadcast_plan import BroadcastPlan
from tests.support.market import Market

WHY = "It is right so."


class Traffic:
    """Plays scenes on a market of its own: the clock moves between them."""

    def __init__(self, market: Market, seed: int) -> None:
        self.market = market
        self.random = random.Random(seed)
        self.admin_api = Admin.open(market.execution, market.store)
        self.admin = UserId(uuid4())

    async def play(self, rounds: int) -> None:
        """Every scene once in each round, in random order."""
        self.admin = await self.market.user("admin", 1)
        scenes = self.scenes()
        for _ in range(rounds):
            self.random.shuffle(scenes)
            for scene in scenes:
                await scene()
                if self.random.random() < 0.2:
                    await self.market.advance("7 minutes")
                    await self.market.timers.fire_due()
        # what must still be under way at the end
        await self.scene_not_paid_yet()
        await self.scene_matching()

    def scenes(self) -> list[Callable[[], Awaitable[object]]]:
        """All scenes."""
        return [getattr(self, name) for name in sorted(dir(self)) if name.startswith("scene_")]

    # ── What scenes are made of ─────────────────────────────────────────────────────────────────

    def mode(self) -> Mode:
        """Either."""
        return "LIVE" if self.random.random() < 0.5 else "STANDARD"

    def price(self) -> int:
        """Cents, seldom round."""
        return self.random.randint(1_500, 30_000)

    async def settle(self) -> None:
        """Everything that is due moves."""
        await self.market.worker.settle_waiting()

    async def accepted(self) -> tuple[TaskId, UserId]:
        """A held task of any kind."""
        return await self.market.accepted(self.mode(), price_cents=self.price())

    async def submitted(self) -> tuple[TaskId, UserId]:
        """A task whose proof waits."""
        return await self.market.submitted(self.mode(), price_cents=self.price())

    async def start(self, task: TaskId, hustler: UserId) -> None:
        """The work begins."""
        await self.market.commands.tasks.start(
            hustler, task, self.market.codes.code(task, "START", 1)
        )

    async def disputed(self) -> tuple[TaskId, DisputeId]:
        """A task in dispute, from either side, with evidence of both."""
        task, hustler = await self.submitted()
        poster = await self.market.poster_of(task)
        sides = [poster, hustler]
        await self.market.commands.disputes.open(self.random.choice(sides), task, "We disagree.")
        for side in sides:
            await self.market.commands.disputes.add_evidence(side, task, "I am right.", [])
        return task, await self.dispute_of(task)

    async def dispute_of(self, task: TaskId) -> DisputeId:
        """Its dispute."""
        found: UUID = await self.market.app.fetchval(
            "select id from disputes where task_id = $1", task
        )
        return DisputeId(found)

    async def settlement_of(self, task: TaskId) -> SettlementId:
        """The newest settlement of its escrows."""
        found: UUID = await self.market.app.fetchval(
            "select s.id from settlements as s join escrows as e on e.id = s.escrow_id"
            " where e.task_id = $1 order by s.created_at desc limit 1",
            task,
        )
        return SettlementId(found)

    async def payment_of(self, task: TaskId) -> str:
        """What the provider calls its payment."""
        found: str = await self.market.app.fetchval(
            "select stripe_payment_intent_id from escrows where task_id = $1 and is_current", task
        )
        return found

    async def received(self, kind: str, **fact: Any) -> Applied:
        """An event of the provider."""
        return await self.market.execution.run(
            "book_provider_event",
            f"evt_{uuid4().hex}",
            kind.lower(),
            json.dumps({"kind": kind, **fact}),
            json.dumps(msgspec.to_builtins(BroadcastPlan())),
        )

    async def item(self) -> ItemId:
        """An open item."""
        await self.market.app.execute("select open_item('QUESTION', $1)", str(uuid4()))
        found: UUID = await self.market.app.fetchval(
            "select id from admin_items where kind = 'QUESTION' and closed_at is null limit 1"
        )
        return ItemId(found)

    # ── Waiting ─────────────────────────────────────────────────────────────────────────────────

    async def scene_unfunded(self) -> None:
        """Nobody has paid."""
        await self.market.task(self.mode())

    async def scene_matching(self) -> TaskId:
        """On offer, with a decline and a skip."""
        task = await self.market.funded(price_cents=self.price())
        broadcast = await self.market.broadcast_of(task)
        await self.market.commands.live.respond(
            await self.market.offered(task), broadcast, "DECLINE", "FAR"
        )
        await self.market.commands.live.respond(await self.market.offered(task), broadcast, "SKIP")
        await self.market.offered(task)
        return task

    async def scene_open(self) -> TaskId:
        """In the feed."""
        return await self.market.funded("STANDARD")

    # ── At work ─────────────────────────────────────────────────────────────────────────────────

    async def scene_accepted(self) -> None:
        """Somebody is on the way, or there."""
        task, hustler = await self.accepted()
        if self.random.random() < 0.5:
            await self.market.arrive(hustler, task)

    async def scene_working(self) -> None:
        """Somebody is at work."""
        task, hustler = await self.accepted()
        await self.start(task, hustler)

    async def scene_submitted(self) -> None:
        """The proof waits."""
        await self.submitted()

    async def scene_rework(self) -> None:
        """The proof was turned down."""
        task, _ = await self.submitted()
        await self.market.commands.proofs.reject(
            await self.market.poster_of(task), task, "Not yet."
        )

    async def scene_thrice_rejected(self) -> None:
        """The third rejection is a dispute."""
        task, hustler = await self.submitted()
        poster = await self.market.poster_of(task)
        code = self.market.codes.code(task, "COMPLETION", 1)
        for _ in range(2):
            await self.market.commands.proofs.reject(poster, task, "Not yet.")
            await self.market.commands.proofs.submit(hustler, task, code)
        await self.market.commands.proofs.reject(poster, task, "Never.")

    # ── Done ────────────────────────────────────────────────────────────────────────────────────

    async def scene_completed(self) -> TaskId:
        """Done and paid."""
        task, _ = await self.submitted()
        await self.market.commands.proofs.approve(await self.market.poster_of(task), task)
        await self.settle()
        return task

    async def scene_completed_by_one(self) -> None:
        """A hustler's second and third task."""
        hustler = await self.market.user("hustler")
        for _ in range(3):
            task = await self.market.funded("STANDARD", price_cents=self.price())
            await self.market.commands.live.accept(hustler, task)
            await self.start(task, hustler)
            code = self.market.codes.code(task, "COMPLETION", 1)
            await self.market.commands.proofs.submit(hustler, task, code)
            await self.market.commands.proofs.approve(await self.market.poster_of(task), task)
            await self.settle()

    async def scene_photos(self) -> None:
        """Proven by a photo of who was there."""
        task, hustler = await self.accepted()
        await self.market.arrive(hustler, task)
        facts = {
            "storage_key": uuid4().hex, "content_type": "image/jpeg", "bytes": 10, "width": 1,
            "height": 1, "sha256": "00" * 32,
        }  # fmt: skip
        made = await self.market.app.fetchval(
            "select add_upload($1, $2::jsonb) ->> 'upload_id'", hustler, json.dumps(facts)
        )
        await self.market.commands.proofs.submit_photos(hustler, task, [UUID(made)])

    async def scene_not_paid_yet(self) -> TaskId:
        """Approved, and the money still on its way."""
        task, _ = await self.submitted()
        await self.market.commands.proofs.approve(await self.market.poster_of(task), task)
        return task

    async def scene_provider_is_faster(self) -> None:
        """The provider tells of a transfer before the worker has booked it."""
        task, _ = await self.submitted()
        await self.market.commands.proofs.approve(await self.market.poster_of(task), task)
        row = await self.market.app.fetchrow(
            "select * from settlements where id = $1", await self.settlement_of(task)
        )
        assert row is not None
        await self.received(
            "TRANSFER_SUCCEEDED",
            settlement_id=str(row["id"]),
            reference=f"tr_{uuid4().hex}",
            amount_cents=row["release_amount"] - row["fee_amount"],
        )

    # ── Ended otherwise ─────────────────────────────────────────────────────────────────────────

    async def scene_cancelled(self) -> None:
        """The poster changed their mind."""
        task, _ = await self.accepted()
        await self.market.commands.tasks.cancel(await self.market.poster_of(task), task, None)
        if self.random.random() < 0.5:
            await self.settle()

    async def scene_released(self) -> TaskId:
        """The hustler gave it back; a successor is on offer."""
        task, hustler = await self.accepted()
        await self.market.commands.tasks.release(hustler, task, None)
        return task

    async def scene_no_choice_yet(self) -> TaskId:
        """The broadcast found nobody."""
        task = await self.market.funded(price_cents=self.price())
        await self.market.advance("11 minutes")
        # one call fires a hundred, and after days without any more than that are due before ours
        while await self.market.timers.fire_due():
            pass
        return task

    async def scene_switched(self) -> None:
        """From LIVE to the feed."""
        task = await self.scene_no_choice_yet()
        poster = await self.market.poster_of(task)
        await self.market.commands.tasks.choose(poster, task, "SWITCH_TO_STANDARD")

    async def scene_price_raised(self) -> TaskId:
        """Offered again for more, once the replacement is paid."""
        task = await self.scene_no_choice_yet()
        poster = await self.market.poster_of(task)
        await self.market.commands.tasks.choose(poster, task, "INCREASE_PRICE", 40_000)
        await self.market.commands.money.fund(poster, task)
        if self.random.random() < 0.5:
            await self.settle()
        return task

    async def scene_price_proposed(self) -> None:
        """Agreed and paid; agreed; declined."""
        for answer in ("PAID", "AGREED", "DECLINED"):
            task, hustler = await self.accepted()
            poster = await self.market.poster_of(task)
            proposal = await self.market.commands.pricing.propose(hustler, task, 35_000)
            await self.market.commands.pricing.answer(
                poster, task, proposal, agrees=answer != "DECLINED"
            )
            if answer == "PAID":
                await self.market.commands.money.fund(poster, task)

    async def scene_late_payment(self) -> None:
        """The payment came after the task was cancelled, and goes back."""
        for settled in (True, False):
            task = await self.market.task("STANDARD")
            poster = await self.market.poster_of(task)
            escrow = await self.market.app.fetchval(
                "select begin_funding($1, $2) ->> 'id'", poster, task
            )
            await self.market.commands.tasks.cancel(poster, task, None)
            await self.received(
                "PAYMENT_SUCCEEDED",
                escrow_id=escrow,
                payment=f"pi_{uuid4().hex}",
                amount_cents=4_000,
            )
            if settled:
                await self.settle()

    async def scene_late_payment_charged_back(self) -> None:
        """The bank takes back a payment that is on its way back already."""
        task = await self.market.task("STANDARD")
        poster = await self.market.poster_of(task)
        escrow = await self.market.app.fetchval(
            "select begin_funding($1, $2) ->> 'id'", poster, task
        )
        await self.market.commands.tasks.cancel(poster, task, None)
        payment = f"pi_{uuid4().hex}"
        await self.received(
            "PAYMENT_SUCCEEDED", escrow_id=escrow, payment=payment, amount_cents=4_000
        )
        for what in ("OPENED", "LOST"):
            await self.received(
                f"CHARGEBACK_{what}", reference=f"dp_{escrow}", payment=payment, amount_cents=4_000
            )

    # ── Disputes and chargebacks ────────────────────────────────────────────────────────────────

    async def scene_disputed(self) -> None:
        """Nobody has decided."""
        await self.disputed()

    async def scene_decided(self) -> None:
        """For either side, or a split; paid or about to be."""
        rulings: list[tuple[Outcome, int | None]] = [
            ("HUSTLER", None), ("POSTER", None), ("SPLIT", 333),
        ]  # fmt: skip
        for outcome, release in rulings:
            _, dispute = await self.disputed()
            await self.admin_api.disputes.request_evidence(self.admin, dispute, WHY)
            await self.admin_api.disputes.resolve(self.admin, dispute, outcome, release, WHY)
            if self.random.random() < 0.7:
                await self.settle()

    async def scene_chargeback_at_work(self) -> None:
        """The bank took the payment while somebody worked."""
        task, hustler = await self.accepted()
        await self.start(task, hustler)
        await self.chargeback(task, "OPENED")

    async def scene_chargeback_lost(self) -> None:
        """A refund that the bank has made already."""
        task = await self.scene_open()
        payment = await self.payment_of(task)
        await self.received(
            "CHARGEBACK_OPENED", reference=f"dp_{task}", payment=payment, amount_cents=9_000
        )
        await self.received(
            "CHARGEBACK_LOST", reference=f"dp_{task}", payment=payment, amount_cents=9_000
        )

    async def scene_chargeback_anywhere(self) -> None:
        """At any moment of a task's life; won, lost or open; whatever is held goes on or is decided."""
        stages: list[Callable[[], Awaitable[TaskId]]] = [
            self.scene_matching, self.scene_open, self.scene_not_paid_yet, self.scene_completed,
            self.scene_price_raised, self.scene_no_choice_yet,
        ]  # fmt: skip
        task = await self.random.choice(stages)()
        await self.chargeback(task, "OPENED")
        ending = self.random.choice(["WON", "LOST", None])
        if ending is not None:
            await self.chargeback(task, ending)
        await self.settle()

    async def scene_chargeback_decided(self) -> None:
        """In a dispute, decided before or after the bank has; an admin lets what is held go on."""
        task, hustler = await self.accepted()
        await self.start(task, hustler)
        await self.chargeback(task, "OPENED")
        dispute = await self.dispute_of(task)
        ending = self.random.choice(["WON", "LOST"])
        first = self.random.random() < 0.5
        if first:
            await self.chargeback(task, ending)
        outcome: Outcome = self.random.choice(["HUSTLER", "POSTER", "SPLIT"])
        release = 444 if outcome == "SPLIT" else None
        await self.admin_api.disputes.resolve(self.admin, dispute, outcome, release, WHY)
        if not first:
            await self.chargeback(task, ending)
        with suppress(Refusal):
            await self.admin_api.money.retry_settlement(
                self.admin, await self.settlement_of(task), WHY
            )
        await self.settle()
        ended = await self.market.escrow_state(task)
        assert ended in ("RELEASED", "REFUNDED", "REFUND_PARTIAL"), (outcome, ending, first, ended)

    async def chargeback(self, task: TaskId, what: str) -> None:
        """An event about a chargeback on the task's payment."""
        await self.received(
            f"CHARGEBACK_{what}",
            reference=f"dp_{task}",
            payment=await self.payment_of(task),
            amount_cents=await self.market.app.fetchval(
                "select amount from escrows where task_id = $1 and is_current", task
            ),
        )

    async def scene_refunded_by_hand(self) -> None:
        """Somebody gives the payment back at the provider: all of it, or a part, before or at work."""
        stages: list[Callable[[], Awaitable[TaskId]]] = [
            self.scene_matching, self.scene_open, self.scene_completed, self.scene_no_choice_yet,
        ]  # fmt: skip
        for cents in (None, 300):
            task = await self.random.choice(stages)()
            await self.refund_by_hand(task, cents)
        task, hustler = await self.accepted()
        await self.start(task, hustler)
        await self.refund_by_hand(task, self.random.choice([None, 300]))
        await self.settle()

    async def scene_asked_by_the_bank(self) -> None:
        """An inquiry that closes, one that becomes a dispute, and one that is open."""
        for received in (("INQUIRY_CLOSED",), ("CHARGEBACK_OPENED",), ()):
            task = await self.scene_open()
            payment = await self.payment_of(task)
            for kind in ("INQUIRY_OPENED", *received):
                await self.received(
                    kind, reference=f"dp_{task}", payment=payment, amount_cents=4_000
                )
        await self.settle()

    async def refund_by_hand(self, task: TaskId, cents: int | None) -> None:
        """All of the task's payment, or so much of it."""
        held = await self.market.app.fetchval(
            "select amount from escrows where task_id = $1 and is_current", task
        )
        await self.received(
            "REFUND_SUCCEEDED",
            reference=f"re_hand_{task}",
            payment=await self.payment_of(task),
            amount_cents=cents or held,
        )

    # ── Admins ───────────────────────────────────────────────────────────────────────────────

    async def scene_admins(self) -> None:
        """An account is shut, another banned; an award is marked; an item is closed."""
        await self.admin_api.people.suspend(self.admin, await self.market.live_hustler(), WHY)
        hustler = await self.market.live_hustler()
        until = await self.market.app.fetchval("select hx_clock() + interval '1 day'")
        await self.admin_api.live.ban(self.admin, hustler, until, WHY)
        await self.admin_api.progress.set_trust_tier(self.admin, hustler, 3, WHY)
        await self.admin_api.progress.grant_badge(self.admin, hustler, "TASKS_50", WHY)
        badge = await self.market.app.fetchval(
            "select id from badges where user_id = $1 and badge_type = 'TASKS_50'", hustler
        )
        await self.admin_api.progress.revoke_badge(self.admin, BadgeId(badge), WHY)
        task = await self.scene_completed()
        award = await self.market.app.fetchval("select id from xp_ledger where task_id = $1", task)
        await self.admin_api.progress.flag_xp(self.admin, AwardId(award), WHY)
        await self.admin_api.queue.close(self.admin, await self.item(), WHY)
