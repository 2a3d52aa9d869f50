"""`hustlexp migrate`: applies the due migrations, and sets up the login that serves."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from gateway.cli.run_file import deployment
from sql.migrate import migrate as migrate_database
from sql.service_login import equip, equip_itself, login_of


def migrate(*, dry_run: bool = False, data_dir: Path | None = None) -> int:
    """Apply the files of the schema that are due, in order; their names go to standard output.

    The login of HX_POSTGRES_DSN, where it is another than the one that migrates, becomes a member
    of hx_app with time-outs of its own; what that needs an administrator for is said.

    Args:
        dry_run: Only name what is due.
        data_dir: The folder of a running `hustlexp dev`; default: HX_POSTGRES_OWNER_DSN.
    """
    settings = deployment(data_dir, os.environ)
    dsn = settings.postgres.owner_dsn or settings.postgres.dsn
    for name in asyncio.run(migrate_database(dsn, dry_run=dry_run)):
        print(f"due: {name}" if dry_run else f"applied: {name}")
    login = None if settings.development else login_of(settings.postgres.dsn)
    if login and not dry_run and (left := asyncio.run(_equip(dsn, settings.postgres.dsn, login))):
        print(
            f"hustlexp: an administrator has to run, for the login {login}: {' '.join(left)}",
            file=sys.stderr,
        )
    return 0


async def _equip(owner_dsn: str, dsn: str, login: str) -> list[str]:
    """What neither the login that migrates nor the one that serves may do itself."""
    return await equip_itself(dsn, await equip(owner_dsn, login))
