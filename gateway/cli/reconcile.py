"""`hustlexp reconcile`: compares our books with the payment provider's movements."""

from __future__ import annotations

import asyncio
import json as json_text
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from engine.kernel.effects import Effects
from engine.kernel.errors import Refusal
from engine.kernel.execution import Execution
from engine.kernel.ids import UserId
from engine.kernel.store import Store
from engine.money.audit import SETTLED, BooksAudit
from engine.money.comparing import Difference
from engine.money.payout_accounts import utc_now
from engine.money.provider import PaymentFailed
from gateway.cli.clock import duration_of
from gateway.cli.run_file import deployment
from gateway.server.cli_errors import CommandError, UsageError
from gateway.server.payments import open_money
from gateway.settings.groups import Settings
from sql.database import Database


@dataclass(frozen=True, slots=True)
class Repair:
    """The admin who answers for the repairs, and the reason."""

    admin: UserId
    reason: str


def reconcile(
    *,
    since: str = "1d",
    repair: bool = False,
    admin: UUID | None = None,
    reason: str | None = None,
    json: bool = False,
    data_dir: Path | None = None,
) -> int:
    """Compare what we booked with what the provider moved; each difference becomes an item of work.

    Args:
        since: How far back, as 90s, 10m, 2h or 1d.
        repair: Book what the provider moved and we have not booked; needs --admin and --reason.
        admin: The admin in whose name the repairs are recorded.
        reason: Why, for the record.
        json: Print [{"what", "kind", "reference", "escrow_id", "settlement_id", "ours_cents",
            "theirs_cents"}] of what differs and is not repaired.
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
    """
    window = duration_of(since)
    asked = None
    if repair:
        if admin is None or not (reason or "").strip():
            raise UsageError("--repair needs --admin, who answers for it, and --reason.")
        asked = Repair(UserId(admin), reason or "")
    settings = deployment(data_dir, os.environ)
    try:
        found = asyncio.run(_reconcile(settings, window, asked))
    except PaymentFailed as error:
        raise CommandError(f"The payment provider does not answer: {error}") from error
    except Refusal as refusal:
        raise CommandError(f"The repair was refused: {refusal}") from refusal
    _print(found, json=json)
    return 1 if found else 0


async def _reconcile(
    settings: Settings, window: timedelta, repair: Repair | None
) -> Sequence[Difference]:
    """Compares the books, repairs if asked, records and returns the differences that remain."""
    async with AsyncExitStack() as stack:
        money = await stack.enter_async_context(open_money(settings.payments))
        if money.books is None:
            raise CommandError(
                f"HX_PAYMENTS={settings.payments.provider} keeps no books to compare with."
            )
        database = await Database.open(settings.postgres.dsn, size=2, statement_cache=0)
        stack.push_async_callback(database.close)
        store = Store(database)
        # No client is connected here: the service reads what a repair did from the log.
        execution = Execution(store, Effects([], failed=str))
        books_audit = BooksAudit(
            execution, store, money.payments, money.books, settings.broadcast.plan()
        )
        now = utc_now()
        found = await books_audit.compare(now - window, now - SETTLED)
        if repair is not None:
            found = await books_audit.repair(found, repair.admin, repair.reason)
        await books_audit.report(found)
        return found


def _print(found: Sequence[Difference], *, json: bool) -> None:
    if json:
        print(json_text.dumps([msgspec.to_builtins(each) for each in found], indent=2))
        return
    for each in found:
        ours, theirs = _dollars(each.ours_cents), _dollars(each.theirs_cents)
        print(f"{each.what} {each.kind} {each.reference}: ours {ours}, theirs {theirs}")
    print(f"{len(found)} differences." if found else "The books agree.")


def _dollars(cents: int | None) -> str:
    return "none" if cents is None else f"${cents / 100:.2f}"
