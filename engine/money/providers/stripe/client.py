"""The only module that opens Stripe's SDK: a client over httpx, its errors as the port's.

Importing it costs 150 ms, so only a process that uses Stripe imports this module.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import stripe

from engine.money.provider import PaymentFailed, PaymentRefused

API_VERSION: Final = "2026-10-28.endive"
"""Pinned: the meaning of an answer changes with our code, never under it."""
CALL_TIMEOUT_S: Final = 8.0
"""One HTTP call; a movement takes up to three and has `PROVIDER_TIMEOUT_S` for all."""
PAGE: Final = 100
"""Objects in one page of a list, the most that Stripe gives."""

ACCOUNT_GONE: Final = "account_invalid"
"""Of a 403: the connected account was deleted, or its holder took it from us."""
# Not refusals of this movement: the balance may suffice later.
_PASSING: Final = frozenset({"balance_insufficient", "lock_timeout", "rate_limit"})


@asynccontextmanager
async def open_client(key: str, url: str | None = None) -> AsyncIterator[stripe.StripeClient]:
    """Yields a client without automatic retries: the caller knows when one is safe.

    `url` is another base address, for a server that simulates Stripe.
    """
    http = stripe.HTTPXClient(timeout=CALL_TIMEOUT_S)
    try:
        yield stripe.StripeClient(
            key,
            stripe_version=API_VERSION,
            base_addresses={"api": url} if url else {},
            max_network_retries=0,
            http_client=http,
        )
    finally:
        await http.close_async()  # type: ignore[no-untyped-call]


@contextmanager
def translated() -> Iterator[None]:
    """Raises Stripe's errors as the port's: PaymentRefused where a repetition is useless."""
    try:
        yield
    except (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError) as error:
        said = _sentence(error)
        if error.code in _PASSING:
            raise PaymentFailed(said) from error
        raise PaymentRefused(said) from error
    except stripe.StripeError as error:
        if code_of(error) == ACCOUNT_GONE:
            raise PaymentRefused(_sentence(error)) from error
        raise PaymentFailed(f"{type(error).__name__}: {_sentence(error)}") from error


def code_of(error: stripe.StripeError) -> str | None:
    """Returns Stripe's code of an error; the SDK keeps that of a 403 in the answer alone."""
    return error.code or (error.error.code if error.error else None)


def _sentence(error: stripe.StripeError) -> str:
    """Returns Stripe's message in one line."""
    return " ".join((error.user_message or "Stripe does not say why.").split())
