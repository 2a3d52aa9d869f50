"""Money as an admin moves it: disputes to the cent, held and trapped money, chargebacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from engine.api.admin import Admin
from engine.disputes.admin import Outcome
from engine.kernel.errors import Refusal
from engine.kernel.ids import SettlementId, TaskId
from engine.money.provider import Movement, PaymentFailed, PaymentRefused
from engine.money.providers.simulated import SimulatedPayments
from tests.gateway.http.admin.test_commands import held, trapped
from tests.gateway.http.admin.traffic import WHY, Traffic
from tests.support.market import Market, open_market
from tests.support.rest import Person
from tests.support.servers import RunServers, TestDatabase, clone_of


async def until_settled(market: Market, task: UUID) -> asyncpg.Record:
    """The task's escrow once the service, or this test, has moved its money."""
    for _ in range(500):  # the service may have claimed it, and have it under way
        await market.worker.settle_waiting()
        row = await market.app.fetchrow(
            "select * from escrows where task_id = $1 and ended_at is not null", task
        )
        if row is not None:
            return row
        await asyncio.sleep(0.02)
    raise TimeoutError("the money did not move")


@dataclass(frozen=True)
class Ruling:
    """A decision about 33.33 and where the cents go."""

    outcome: Outcome
    state: str
    net: int = 0
    fee: int = 0
    refunded: int = 0
    split: int | None = None


@pytest.mark.parametrize(
    "ruling",
    [
        Ruling("HUSTLER", "RELEASED", net=2_834, fee=499),
        Ruling("POSTER", "REFUNDED", refunded=3_333),
        # 15 % of 1,007 are 151.05
        Ruling("SPLIT", "REFUND_PARTIAL", net=856, fee=151, refunded=2_326, split=1_007),
        Ruling("SPLIT", "REFUND_PARTIAL", net=1, refunded=3_332, split=1),
        Ruling("SPLIT", "REFUND_PARTIAL", net=2_833, fee=499, refunded=1, split=3_332),
    ],
)
async def test_a_decision_moves_the_money_to_the_cent(
    admin: Person, scenes: Traffic, ruling: Ruling
) -> None:
    """33.33 held: decided over REST, carried out, and shown in the money timeline."""
    market = scenes.market
    task, hustler = await market.submitted(price_cents=3_333)
    await market.commands.disputes.open(hustler, task, "I did it.")
    dispute = await scenes.dispute_of(task)
    body: dict[str, Any] = {"outcome": ruling.outcome, "reason": WHY}
    if ruling.split is not None:
        body["release_cents"] = ruling.split
    file = await admin.good("POST", f"/v1/admin/disputes/{dispute}/resolve", body)
    assert (file["dispute"]["state"], file["dispute"]["outcome"]) == ("RESOLVED", ruling.outcome)
    assert file["amount_cents"] == 3_333

    escrow = await until_settled(market, task)
    assert escrow["state"] == ruling.state
    money = await admin.good("GET", f"/v1/admin/tasks/{task}/money")
    moved = {entry["kind"]: -entry["amount_cents"] for entry in money["entries"]}
    assert moved.pop("CHARGE") == -3_333
    ours = {"TRANSFER": ruling.net, "FEE": ruling.fee, "REFUND": ruling.refunded}
    assert moved == {kind: cents for kind, cents in ours.items() if cents}
    assert [e["held_cents"] for e in money["escrows"]] == [0]
    assert len(money["xp"]) == (1 if ruling.net else 0)


@pytest.mark.parametrize("body", [
    {"outcome": "SPLIT"},
    {"outcome": "POSTER", "release_cents": 1},
    {"outcome": "SPLIT", "release_cents": 0},
    {"outcome": "SPLIT", "release_cents": 4_000},
    {"outcome": "BOTH"},
])  # fmt: skip
async def test_a_decision_that_means_nothing_is_refused(
    admin: Person, scenes: Traffic, body: dict[str, object]
) -> None:
    """A split names its cents, and leaves something to both; nothing has changed after it."""
    task, hustler = await scenes.market.submitted(price_cents=4_000)
    await scenes.market.commands.disputes.open(hustler, task, "I did it.")
    dispute = await scenes.dispute_of(task)
    path = f"/v1/admin/disputes/{dispute}"
    answer = await admin.call("POST", f"{path}/resolve", body | {"reason": WHY})
    assert answer.refusal()[:2] == (422, "VALIDATION_ERROR")
    file = await admin.good("GET", path)
    assert (file["dispute"]["state"], file["escrow_state"]) == ("OPEN", "LOCKED_DISPUTE")
    assert file["actions"] == []


async def test_the_file_of_a_dispute_holds_what_a_decision_stands_on(
    admin: Person, scenes: Traffic
) -> None:
    """Evidence of both sides, proofs, the task's steps, the deadline, and what admins did."""
    task, dispute = await scenes.disputed()
    path = f"/v1/admin/disputes/{dispute}"
    before = await admin.good("GET", path)
    await admin.good("POST", f"{path}/request-evidence", {"reason": "Please show it."})
    await admin.good("POST", f"{path}/escalate", {"reason": "This is hard."})
    file = await admin.good("GET", path)
    assert file["dispute"]["state"] == "ESCALATED"
    assert file["dispute"]["evidence_due_at"] > before["dispute"]["evidence_due_at"]
    assert len(file["dispute"]["evidence"]) == 2
    assert [proof["kind"] for proof in file["proofs"]] == ["CODE"]
    assert file["history"][-1]["to"] == file["task_state"] == "DISPUTED"
    assert [act["action_type"] for act in file["actions"]] == [
        "REQUEST_EVIDENCE",
        "ESCALATE_DISPUTE",
    ]
    page = await admin.good("GET", "/v1/admin/disputes?state=ESCALATED&limit=50")
    assert str(dispute) in [item["id"] for item in page["items"]]
    assert str(task) in [item["task_id"] for item in page["items"]]


class Broken(SimulatedPayments):
    """A provider that does what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.refunds: list[UUID] = []

    async def transfer(self, key: UUID, *args: Any, **how: Any) -> Movement:
        """Pays, unless it is broken."""
        if self.error is not None:
            raise self.error
        return await super().transfer(key, *args, **how)

    async def refund(self, key: UUID, *args: Any, **how: Any) -> Movement:
        """Gives back, unless it is broken."""
        self.refunds.append(key)
        if self.error is not None:
            raise self.error
        return await super().refund(key, *args, **how)


Shop = tuple[Traffic, Broken, Admin]


@asynccontextmanager
async def opened(database: TestDatabase) -> AsyncIterator[Shop]:
    """Scenes with a provider that can be broken, and the admin API's reading side."""
    payments = Broken()
    async with open_market(database.dsn, database.owner_dsn, payments) as market:
        scenes = Traffic(market, 1)
        scenes.admin = await market.user("admin", 1)
        yield scenes, payments, Admin.open(market.execution, market.store)


@pytest.fixture(scope="module")
async def module_shop(run_servers: RunServers, worker_number: int) -> AsyncIterator[Shop]:
    """One for this module: no service moves its money meanwhile."""
    with clone_of(run_servers, f"gw{worker_number}_shop") as database:
        async with opened(database) as shop:
            yield shop


@pytest.fixture
def shop(module_shop: Shop) -> Shop:
    """The module's, with a provider that works."""
    _, payments, _ = module_shop
    payments.error = None
    payments.refunds.clear()
    return module_shop


@pytest.fixture
async def own_shop(fresh_database: TestDatabase) -> AsyncIterator[Shop]:
    """One for a test alone."""
    async with opened(fresh_database) as shop:
        yield shop


async def test_a_transfer_that_was_refused_waits_for_an_admin(own_shop: Shop) -> None:
    """HELD with its error in the admin queue; a retry pays, and the item closes by itself."""
    scenes, payments, admin_queries = own_shop
    payments.error = PaymentRefused("The account is closed.")
    await scenes.scene_not_paid_yet()
    await scenes.settle()
    (settlement,), _ = await admin_queries.money.settlements("HELD", None, 10)
    assert (settlement.last_error, settlement.attempts) == ("The account is closed.", 1)
    assert [(leg.leg, leg.done) for leg in settlement.legs] == [("TRANSFER", False)]
    kinds = {(w.subject, w.kind): w.count for w in (await admin_queries.queue.overview()).waiting}
    assert kinds == {
        ("ITEM", "SETTLEMENT_HELD"): 1,
        ("SETTLEMENT", "HELD"): 1,
        ("FAILED_TRANSFER", "HELD"): 1,
    }

    payments.error = None
    await scenes.admin_api.money.retry_settlement(scenes.admin, SettlementId(settlement.id), WHY)
    await scenes.settle()
    assert (await admin_queries.queue.overview()).waiting == []
    done = await admin_queries.money.settlement(SettlementId(settlement.id))
    assert (done.state, done.escrow_state) == ("DONE", "RELEASED")
    with pytest.raises(Refusal, match="escrow's state"):
        await scenes.admin_api.money.retry_settlement(
            scenes.admin, SettlementId(settlement.id), WHY
        )


async def test_a_provider_that_is_away_only_delays(shop: Shop) -> None:
    """PENDING with its error; an admin may hurry it."""
    scenes, payments, admin_queries = shop
    payments.error = PaymentFailed("Come back later.")
    settlement = await scenes.settlement_of(await scenes.scene_not_paid_yet())
    await scenes.settle()
    waiting = await admin_queries.money.settlement(settlement)
    assert (waiting.state, waiting.last_error) == ("PENDING", "Come back later.")
    payments.error = None
    await scenes.admin_api.money.retry_settlement(scenes.admin, settlement, WHY)
    await scenes.settle()
    assert (await admin_queries.money.settlement(settlement)).state == "DONE"


async def test_a_leg_done_by_hand_is_booked_by_its_reference(shop: Shop) -> None:
    """A refund that the provider will never make: made by a person, it ends the escrow."""
    scenes, payments, admin_queries = shop
    payments.error = PaymentRefused("The card is gone.")
    task, _ = await scenes.accepted()
    await scenes.market.commands.tasks.cancel(await scenes.market.poster_of(task), task, None)
    settlement = await scenes.settlement_of(task)
    with pytest.raises(Refusal):
        await scenes.admin_api.money.book_leg(scenes.admin, settlement, "REFUND", "re_hand", WHY)
    await scenes.settle()
    with pytest.raises(Refusal):
        await scenes.admin_api.money.book_leg(scenes.admin, settlement, "TRANSFER", "tr_hand", WHY)
    await scenes.admin_api.money.book_leg(scenes.admin, settlement, "REFUND", "re_hand", WHY)
    done = await admin_queries.money.settlement(settlement)
    assert (done.state, done.escrow_state) == ("DONE", "REFUNDED")
    assert [leg.reference for leg in done.legs] == ["re_hand"]
    await scenes.admin_api.money.book_leg(scenes.admin, settlement, "REFUND", "re_hand", WHY)
    with pytest.raises(Refusal):
        await scenes.admin_api.money.book_leg(scenes.admin, settlement, "REFUND", "re_other", WHY)

    other, _ = await scenes.accepted()
    await scenes.market.commands.tasks.cancel(await scenes.market.poster_of(other), other, None)
    await scenes.settle()
    with pytest.raises(Refusal, match="another settlement"):
        await scenes.admin_api.money.book_leg(
            scenes.admin, await scenes.settlement_of(other), "REFUND", "re_hand", WHY
        )


async def test_what_a_bank_took_is_not_given_back_again(shop: Shop) -> None:
    """A split under a chargeback: no refund while it is open; once lost, only the transfer is made."""
    scenes, payments, admin_queries = shop
    task, hustler = await scenes.accepted()
    await scenes.start(task, hustler)
    await scenes.chargeback(task, "OPENED")
    await scenes.admin_api.disputes.resolve(
        scenes.admin, await scenes.dispute_of(task), "SPLIT", 700, WHY
    )
    settlement = await scenes.settlement_of(task)
    with pytest.raises(Refusal):
        await scenes.admin_api.money.retry_settlement(scenes.admin, settlement, WHY)
    assert task in [c.task_id for c in await admin_queries.money.chargebacks("OPEN")]

    await scenes.chargeback(task, "LOST")
    assert (await admin_queries.money.settlement(settlement)).state == "HELD"
    await scenes.admin_api.money.retry_settlement(scenes.admin, settlement, WHY)
    await scenes.settle()
    assert payments.refunds == []
    done = await admin_queries.money.settlement(settlement)
    assert (done.state, done.escrow_state) == ("DONE", "REFUND_PARTIAL")
    assert [leg.reference for leg in done.legs if leg.leg == "REFUND"] == [f"dp_{task}"]


async def test_the_hustler_may_be_paid_all_the_same(shop: Shop) -> None:
    """An admin's retry releases the money although the bank has the poster's."""
    scenes, _, admin_queries = shop
    settlement = SettlementId(UUID(await held(scenes)))
    await scenes.admin_api.money.retry_settlement(scenes.admin, settlement, WHY)
    await scenes.settle()
    assert (await admin_queries.money.settlement(settlement)).escrow_state == "RELEASED"


@pytest.mark.parametrize("ended", ["COMPLETED", "CANCELLED", "REPLACED", "SPLIT"])
async def test_trapped_money_shows_and_gets_its_settlement(shop: Shop, ended: str) -> None:
    """Whatever lost the settlement: the admin queue shows it, and one command makes it again."""
    scenes, _, admin_queries = shop
    market = scenes.market
    if ended == "COMPLETED":
        task, _ = await scenes.submitted()
        await market.commands.proofs.approve(await market.poster_of(task), task)
    elif ended == "CANCELLED":
        task = TaskId(UUID(await trapped(scenes)))
    elif ended == "REPLACED":
        task = await scenes.scene_no_choice_yet()
        poster = await market.poster_of(task)
        await market.commands.tasks.choose(poster, task, "INCREASE_PRICE", 40_000)
        await market.commands.money.fund(poster, task)
    else:
        task, dispute = await scenes.disputed()
        await scenes.admin_api.disputes.resolve(scenes.admin, dispute, "SPLIT", 500, WHY)
    await market.owner.execute(
        "delete from settlements where escrow_id in (select id from escrows where task_id = $1)",
        task,
    )
    (stuck,), _ = await admin_queries.money.stuck("TRAPPED_MONEY", None, 10)
    assert (stuck.task_id, stuck.settlement_id) == (task, None)
    await scenes.admin_api.money.requeue_settlement(scenes.admin, task, WHY)
    with pytest.raises(Refusal):
        await scenes.admin_api.money.requeue_settlement(scenes.admin, task, WHY)
    await scenes.settle()
    assert await admin_queries.money.stuck("TRAPPED_MONEY", None, 10) == ([], None)
    states = {escrow.state for escrow in (await admin_queries.money.money(task)).escrows}
    assert (
        states
        == {
            "COMPLETED": {"RELEASED"},
            "CANCELLED": {"REFUNDED"},
            "REPLACED": {"REFUNDED", "FUNDED"},
            "SPLIT": {"REFUND_PARTIAL"},
        }[ended]
    )


async def test_an_account_sets_held_payouts_free(shop: Shop) -> None:
    """The admin's account is the one that is paid; another hustler's is refused."""
    scenes, payments, admin_queries = shop
    payments.error = PaymentRefused("No account to be paid to.")
    task, hustler = await scenes.submitted()
    await scenes.market.commands.proofs.approve(await scenes.market.poster_of(task), task)
    await scenes.settle()
    payments.error = None
    await scenes.admin_api.money.set_payout_account(
        scenes.admin, hustler, "acct_1", enabled=True, reason=WHY
    )
    await scenes.settle()
    assert await scenes.market.escrow_state(task) == "RELEASED"
    account = (await admin_queries.people.user(hustler)).payout_account
    assert account is not None
    assert account.account_id == "acct_1"
    assert account.closed_at is None
    await scenes.received("ACCOUNT_CLOSED", account_id="acct_1")
    account = (await admin_queries.people.user(hustler)).payout_account
    assert account is not None
    assert account.closed_at is not None
    assert not account.payouts_enabled
    with pytest.raises(Refusal, match="another hustler"):
        await scenes.admin_api.money.set_payout_account(
            scenes.admin, await scenes.market.user("hustler"), "acct_1", enabled=True, reason=WHY
        )


async def test_a_line_of_tasks_is_one_line_of_money(shop: Shop) -> None:
    """Released, replaced and settled: the timeline is the same from each task of the line."""
    scenes, _, admin_queries = shop
    first = await scenes.scene_released()
    second = TaskId(
        await scenes.market.app.fetchval("select id from tasks where predecessor_id = $1", first)
    )
    from_first, from_second = (
        await admin_queries.money.money(first),
        await admin_queries.money.money(second),
    )
    assert [task.id for task in from_first.line] == [first, second]
    assert from_first.entries == from_second.entries
    assert from_first.escrows == from_second.escrows
    assert [entry.kind for entry in from_first.entries] == ["CHARGE"]
    with pytest.raises(Refusal):
        await admin_queries.money.money(TaskId(uuid4()))


async def test_late_payments_stand_on_a_page_of_their_own(shop: Shop) -> None:
    """What came after its escrow was cancelled, and goes back."""
    scenes, _, admin_queries = shop
    await scenes.scene_late_payment()
    task = await scenes.scene_not_paid_yet()
    late, _ = await admin_queries.money.settlements(None, None, 10, late_only=True)
    assert sorted(s.state for s in late) == ["DONE", "PENDING"]
    assert all(s.late_payment and s.escrow_state == "CANCELLED" for s in late)
    every, _ = await admin_queries.money.settlements(None, None, 50)
    assert {s.id for s in every} > {s.id for s in late}
    assert task in {s.task_id for s in every}
