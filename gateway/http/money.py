"""Money over REST: the funding of a task, and the account where a hustler is paid."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from engine.kernel import errors
from engine.kernel.ids import TaskId
from engine.money.provider import PROVIDER_TIMEOUT_S, PaymentFailed, PaymentRefused
from engine.money.views import EscrowView
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import Replayed, RequestContext
from gateway.http.parts import Parts

Url = Annotated[
    str,
    Meta(
        max_length=2_000,
        pattern=r"^https?://[^\s\x00]+(?![\s\S])",
        description="an http or https address of at most 2,000 characters",
    ),
]


class PayoutAccountRequest(Sent, frozen=True):
    """POST /v1/payout-account; `return_url` is the app's page to come back to from onboarding."""

    return_url: Url


class PayoutAccountView(Struct, frozen=True, omit_defaults=True):
    """The caller's account; `account_id` is null before it was opened, and once it is closed."""

    account_id: str | None
    payouts_enabled: bool
    onboarding_url: str | None = None
    """Where to tell the provider the rest; for one visit, within minutes."""


async def fund(parts: Parts, context: RequestContext[Nothing, Nothing]) -> EscrowView | Replayed:
    """Fund a task's escrow. Funding a LIVE task starts its broadcast."""
    before = await parts.queries.tasks.view(context.user_id, context.id(TaskId))
    funding = await parts.commands.money.fund(context.user_id, context.id(TaskId))
    escrow = await parts.queries.money.escrow(funding.escrow)
    held = before.escrow
    if held is not None and held.id == escrow.id and held.state != "PENDING":
        return Replayed(escrow)
    return msgspec.structs.replace(escrow, client_secret=funding.client_secret)


async def show(parts: Parts, context: RequestContext[Nothing, Nothing]) -> PayoutAccountView:
    """Where the caller is paid, as far as we know."""
    account = await parts.payouts.of(context.user_id)
    if account is None or account.closed:
        return PayoutAccountView(None, payouts_enabled=False)
    return PayoutAccountView(account.account_id, account.payouts_enabled)


async def open_account(
    parts: Parts, context: RequestContext[PayoutAccountRequest, Nothing]
) -> PayoutAccountView:
    """Open the caller's account, or ask how it stands, with a link to its onboarding.

    One that was deleted or revoked is replaced. HX016 PAYOUT-ACCOUNT for what the provider refuses.
    """
    try:
        async with asyncio.timeout(PROVIDER_TIMEOUT_S):
            account = await parts.payouts.open(context.user_id)
            link = await parts.payouts.onboarding_url(account, context.body.return_url)
    except PaymentRefused as error:
        raise errors.refusal("HX016", "PAYOUT-ACCOUNT", str(error) or None) from error
    except (PaymentFailed, TimeoutError) as error:
        raise errors.refusal(
            "UNAVAILABLE", "", "The payment provider did not open the account."
        ) from error
    return PayoutAccountView(account.account_id, account.payouts_enabled, link)
