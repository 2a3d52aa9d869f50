"""`hustlexp clock advance`: moves the database's clock, for development."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import timedelta
from pathlib import Path

import cyclopts

from gateway.cli.run_file import deployment
from gateway.server.cli_errors import UsageError
from gateway.settings.groups import Settings
from gateway.settings.loading import SettingsError
from sql.database import Database

clock = cyclopts.App(name="clock", help="Move the clock that all rules read; development only.")

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DAYS_MAX = 3650


@clock.command
def advance(duration: str, *, data_dir: Path | None = None) -> int:
    """Put the clock forward; it never goes back.

    Args:
        duration: How far, as 90s, 10m, 2h or 1d.
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
    """
    ahead = asyncio.run(_advance(deployment(data_dir, os.environ), duration_of(duration)))
    print(f"The clock is {ahead} ahead.")
    return 0


async def _advance(settings: Settings, amount: timedelta) -> timedelta:
    if not settings.development:
        raise SettingsError("The clock moves in development only (HX_DEVELOPMENT=true).")
    owner = await Database.open(
        settings.postgres.owner_dsn or settings.postgres.dsn, role="hx_owner", size=2
    )
    try:
        ahead: timedelta = await owner.value("advance_clock", amount)
        await owner.call("ensure_partitions")
        return ahead
    finally:
        await owner.close()


def duration_of(text: str) -> timedelta:
    """Parses a number with a unit; raises CommandError for anything else or over ten years."""
    match = re.fullmatch(r"(\d{1,9})(?:(s)|(m)|(h)|(d))", text)
    if match is None:
        raise UsageError(f"{text!r} is no duration: write it as 90s, 10m, 2h or 1d.")
    amount = timedelta(**{UNITS[text[-1]]: int(match[1])})
    if amount > timedelta(days=DAYS_MAX):
        raise UsageError(f"The clock advances by {DAYS_MAX} days at most.")
    return amount
