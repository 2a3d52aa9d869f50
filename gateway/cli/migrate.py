"""`hustlexp migrate`: brings the database up to date."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from gateway.cli.run_file import deployment
from sql.migrate import migrate as migrate_database


def migrate(*, dry_run: bool = False, data_dir: Path | None = None) -> int:
    """Apply the migrations that are due, in order; the names go to standard output.

    Args:
        dry_run: Only name what is due.
        data_dir: The folder of a running `hustlexp dev`; default: HX_POSTGRES_OWNER_DSN.
    """
    settings = deployment(data_dir, os.environ)
    dsn = settings.postgres.owner_dsn or settings.postgres.dsn
    for name in asyncio.run(migrate_database(dsn, dry_run=dry_run)):
        print(f"due: {name}" if dry_run else f"applied: {name}")
    return 0
