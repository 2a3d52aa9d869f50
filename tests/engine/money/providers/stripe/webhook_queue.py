"""Webhooks on their way: queued when an event happens, delivered when the test says so."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.engine.money.providers.stripe.chaos import Chaos

Deliver = Callable[[bytes, str], Awaitable[int]]
"""Takes a raw body and its `Stripe-Signature`; answers the HTTP status."""
OK_MAX = 299
FIRST_SECRET = "whsec_first"


@dataclass
class Delivery:
    """One delivery of an event, which is repeated until it is answered 2xx."""

    event: dict[str, Any]
    tries: int = 0


class WebhookQueue:
    """Signs and delivers. While a secret is replaced, every delivery has a signature under each."""

    def __init__(self, chaos: Chaos, clock: Callable[[], int]) -> None:
        self.secrets = [FIRST_SECRET]
        self.waiting: list[Delivery] = []
        self.refused: list[tuple[str, int]] = []
        """Event and status of every delivery that was not answered 2xx."""
        self._chaos = chaos
        self._clock = clock

    def take(self, event: dict[str, Any]) -> None:
        """An event happened."""
        self.waiting += [Delivery(event) for _ in range(self._chaos.copies())]

    def signed(self, event: dict[str, Any]) -> tuple[bytes, str]:
        """A delivery's body and header."""
        body = json.dumps(event, indent=2).encode()
        return body, signature(body, self.secrets, self._clock())

    async def round(self, deliver: Deliver) -> int:
        """Deliver what is not delayed; how many deliveries went out."""
        deliveries, self.waiting = self.waiting, []
        if self._chaos.dial.shuffled:
            self._chaos.random.shuffle(deliveries)
        went = 0
        for delivery in deliveries:
            if self._chaos.happens(self._chaos.dial.delayed):
                self.waiting.append(delivery)
                continue
            went += 1
            status = await deliver(*self.signed(delivery.event))
            if status > OK_MAX:
                self.refused.append((delivery.event["id"], status))
                delivery.tries += 1
                self.waiting.append(delivery)
        return went

    async def everything(self, deliver: Deliver, rounds_max: int = 100) -> None:
        """Rounds until nothing waits."""
        for _ in range(rounds_max):
            if not self.waiting:
                return
            await self.round(deliver)
        raise AssertionError(f"{len(self.waiting)} deliveries are never taken: {self.refused[-3:]}")


def signature(body: bytes, secrets: list[str], at: int) -> str:
    """The `Stripe-Signature` header: one `v1` under each secret."""
    signed = b"%d." % at + body
    parts = [hmac.new(each.encode(), signed, hashlib.sha256).hexdigest() for each in secrets]
    return ",".join([f"t={at}", *(f"v1={part}" for part in parts), "v0=00"])
