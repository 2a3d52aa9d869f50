"""Balances the money of a finished run from the posters' own calls, events and tasks.

Payments in come from the funding calls, payouts and refunds from the event log, held money from the
tasks: three sources that must add up.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httpx
from msgspec import Struct

from bench.simulator.city import City
from bench.simulator.poster import Poster
from hustlexp_client import Api, NoAnswer, PaymentCaptured, PaymentRefunded, Refused

WITHIN_S: Final = 4.0
TRIES: Final = 8
PAUSE_S: Final = 0.25
"""Payouts may be under way while the money is counted: it is counted again."""
HELD: Final = frozenset({"FUNDED", "LOCKED_DISPUTE"})
UNPAID: Final = frozenset({"PENDING", "CANCELLED"})


class Money(Struct, frozen=True):
    """The balance of a run in cents; `differs_by` is what does not add up."""

    taken_in: int
    paid: int
    fees: int
    refunded: int
    held: int
    differs_by: int

    def __str__(self) -> str:
        """Returns the balance as one line."""
        fault = f"DIFFERS by {dollars(self.differs_by)}" if self.differs_by else "adds up"
        return (
            f"in {dollars(self.taken_in)} = paid {dollars(self.paid)} + fees {dollars(self.fees)}"
            f" + refunded {dollars(self.refunded)} + held {dollars(self.held)}: {fault}"
        )


def dollars(cents: int) -> str:
    """Returns cents as a dollar amount for people."""
    return f"${cents / 100:,.2f}"


async def balance(city: City) -> Money | None:
    """Returns the balance of all posters; None when the service no longer answers."""
    try:
        async with (
            asyncio.timeout(WITHIN_S),
            httpx.AsyncClient(base_url=city.setting.base_url, timeout=WITHIN_S) as http,
        ):
            for _ in range(TRIES):
                money = await _counted(city, http)
                if not money.differs_by:
                    break
                await asyncio.sleep(PAUSE_S)
            return money
    except (Refused, NoAnswer, TimeoutError):
        return None


async def _counted(city: City, http: httpx.AsyncClient) -> Money:
    accounts = await asyncio.gather(*(_account(poster, http) for poster in city.posters))
    taken_in, paid, fees, refunded, held = (sum(part) for part in zip(*accounts, strict=True))
    differs_by = taken_in - (paid + fees + refunded + held)
    return Money(taken_in, paid, fees, refunded, held, differs_by)


async def _account(poster: Poster, http: httpx.AsyncClient) -> tuple[int, int, int, int, int]:
    """Returns one poster's cents: paid in, paid out, fees, refunded, held."""
    api = Api(http, poster.person.token)
    events = [message.body for message in await api.events()]
    tasks = await api.tasks("poster")
    captured = {body.task_id for body in events if isinstance(body, PaymentCaptured)}
    done = [task for task in tasks if task.id in captured]
    escrows = [task.escrow for task in tasks if task.escrow is not None]
    # a funding call that the end of the run cut off may have succeeded
    charged = poster.charged | {e.id: e.amount_cents for e in escrows if e.state not in UNPAID}
    return (
        sum(charged.values()),
        sum(task.hustler_pay_cents for task in done),
        sum(task.price_cents - task.hustler_pay_cents for task in done),
        sum(body.amount_cents for body in events if isinstance(body, PaymentRefunded)),
        sum(e.amount_cents for e in escrows if e.state in HELD),
    )
