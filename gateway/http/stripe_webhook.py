"""POST /v1/webhooks/stripe: Stripe's signed events, instead of a token.

Stripe repeats an event for three days until it hears a 2xx, so that is said only after the commit;
without PostgreSQL the answer is 503, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response

from engine.kernel import errors
from engine.money.provider_events import ProviderEvents
from engine.money.providers.stripe import events, signature
from gateway.contract.problems import Unreadable
from gateway.http import decoding
from gateway.identity import security_log

MAX_EVENT_BYTES: Final = 256 * 1024
"""Stripe's largest events are far smaller."""

log = structlog.get_logger(__name__)


class StripeWebhook:
    """Handler of Stripe's webhook; answers NOT_FOUND where no secrets are configured."""

    def __init__(
        self,
        events: ProviderEvents,
        secrets: Sequence[str],
        *,
        livemode: bool,
        clock: Callable[[], float],
    ) -> None:
        self._events = events
        self._secrets = secrets
        self._livemode = livemode
        self._clock = clock

    async def receive(self, request: Request) -> Response:
        """Check the raw body's signature, book the event, and say so."""
        if not self._secrets:
            raise errors.refusal("NOT_FOUND")
        body = await decoding.read_raw(request, MAX_EVENT_BYTES)
        try:
            signature.check(
                body,
                request.headers.get("stripe-signature", ""),
                self._secrets,
                self._clock(),
            )
            if b"\\u0000" in body:
                raise Unreadable(400, "Postgres text holds no NUL character.")
            event = events.parse(body)
        except signature.BadSignature as bad:
            security_log.webhook_refused(reason=str(bad))
            raise Unreadable(400, str(bad)) from None
        except events.NotAnEvent:
            raise Unreadable(400, "The body is no event.") from None
        fact = events.fact_of(event, livemode=self._livemode)
        log.info("webhook", event_id=event.id, event_type=event.type, fact=fact.kind)
        await self._events.book(event.id, event.type, fact)
        return Response(b'{"received":true}', media_type="application/json")
