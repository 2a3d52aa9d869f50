from uuid import uuid4

import pytest

from engine.money.provider import PaymentFailed
from engine.money.providers.simulated import SimulatedPayments
from gateway.server.payments import open_money
from gateway.settings.groups import Settings

KEY, POSTER = uuid4(), uuid4()


async def test_immediate_movements_succeed_and_their_references_come_from_their_keys() -> None:
    """A new process gives the same answer."""
    first, second = SimulatedPayments(), SimulatedPayments()
    charges = [await each.charge(KEY, 4000, POSTER) for each in (first, second)]
    assert charges[0] == charges[1]
    assert charges[0].state == "SUCCEEDED"
    transfer = await first.transfer(KEY, None, POSTER, 1, escrow=KEY, payment=None)
    refund = await first.refund(KEY, "pi_sim", 1, escrow=KEY)
    assert len({charges[0].reference, transfer.reference, refund.reference}) == 3


async def test_delayed_movements_are_pending_until_their_time_is_over() -> None:
    """Repeating the call neither hurries them nor begins anew."""
    now = 100.0
    delayed = SimulatedPayments("delayed", delay_s=5.0, clock=lambda: now)
    movement = await delayed.charge(KEY, 4000, POSTER)
    assert movement.state == "PENDING"
    now = 104.9
    assert await delayed.charge(KEY, 4000, POSTER) == movement
    assert (await delayed.look_up("PAYMENT", movement.reference)).state == "PENDING"
    now = 105.0
    assert (await delayed.charge(KEY, 4000, POSTER)).state == "SUCCEEDED"
    assert (await delayed.look_up("PAYMENT", movement.reference)).state == "SUCCEEDED"


async def test_failing_fails_always_or_so_many_times() -> None:
    """By the port's failure, so it may be repeated."""
    always, twice = SimulatedPayments("failing"), SimulatedPayments("failing", failures=2)
    for _ in range(3):
        with pytest.raises(PaymentFailed):
            await always.charge(KEY, 4000, POSTER)
    for _ in range(2):
        with pytest.raises(PaymentFailed):
            await twice.charge(KEY, 4000, POSTER)
    assert (await twice.charge(KEY, 4000, POSTER)).state == "SUCCEEDED"


async def test_a_simulated_account_can_be_paid_at_once() -> None:
    """Nothing to fill in."""
    simulated, user = SimulatedPayments(), uuid4()
    account = await simulated.open_account(user)
    assert account == await simulated.account(account.account_id)
    assert account.payouts_enabled
    assert await simulated.onboarding_url(account.account_id, "https://app.example") is None


@pytest.mark.parametrize(("mode", "often"), [("delayed", True), ("immediate", False)])
async def test_only_delayed_movements_are_looked_up_within_a_second(
    mode: str,
    often: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    """No webhook tells of them: with the reconciler's minute they would take that long."""
    settings = Settings.load({"HX_DEVELOPMENT": "true", "HX_SIMULATED_PAYMENTS": mode})
    async with open_money(settings.payments) as money:
        assert (money.look_every_s is not None and money.look_every_s <= 1) is often
    slow = {"HX_DEVELOPMENT": "true", "HX_PAYMENTS": "stripe", "HX_SIMULATED_PAYMENTS": "delayed"}
    keys = {"HX_STRIPE_KEY": "sk_test_x", "HX_STRIPE_WEBHOOK_SECRETS": "whsec_x"}
    async with open_money(Settings.load(slow | keys).payments) as money:
        assert money.look_every_s is None
