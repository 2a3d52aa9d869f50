"""`hustlexp invariants verify`: derives every derivable fact again, and says what disagrees."""

from __future__ import annotations

import asyncio
import json as json_text
import os
import sys
from collections.abc import Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Final

import cyclopts
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from gateway.cli.run_file import deployment
from sql import invariants as derived
from sql.database import DatabaseAway, DatabaseError, DatabaseUnfit
from sql.invariants import Verdict

COULD_NOT: Final = 2

invariants = cyclopts.App(
    name="invariants",
    help="Look at what must hold, whatever wrote it: money, XP, trust, events.",
    help_epilogue=(
        "Exit codes: 0 all checks agree; 1 rows disagree, they are listed; 2 it could not look: no "
        "server, not migrated, wrong usage or a wrong setting; 130 interrupted before it was done."
    ),
)


@invariants.command
def verify(
    *, json: bool = False, rows: int = derived.ROWS_SHOWN, data_dir: Path | None = None
) -> int:
    """Check every derived fact in one moment of the database; a service at work does not disturb it.

    Args:
        json: Print a list of {"name", "sentence", "agrees", "count", "rows", "seconds"}.
        rows: How many disagreeing rows of a check are listed at most; all are counted.
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
    """
    settings = deployment(data_dir, os.environ)
    settings.demand("HX_POSTGRES_DSN")
    errors = Console(stderr=True)
    try:
        verdicts = asyncio.run(_verdicts(settings.postgres.dsn, max(rows, 1), errors))
    except DatabaseUnfit as error:
        return _could_not(f"PostgreSQL answers, but not as the service needs it: {error}")
    except DatabaseAway as error:
        return _could_not(f"PostgreSQL does not answer: {error}")
    except DatabaseError as error:
        return _could_not(f"PostgreSQL refuses, is it migrated? {error.message}")
    if json:
        print(json_text.dumps([_as_json(verdict) for verdict in verdicts], indent=2))
    else:
        _show(verdicts, Console())
    return 0 if all(verdict.agrees for verdict in verdicts) else 1


async def _verdicts(dsn: str, rows_max: int, errors: Console) -> list[Verdict]:
    checks = derived.checks()
    verdicts = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(checks[0].name, total=len(checks))
        async with aclosing(derived.verify(dsn, rows_max)) as found:
            async for verdict in found:
                verdicts.append(verdict)
                following = checks[len(verdicts) : len(verdicts) + 1]
                bar.update(task, advance=1, description=following[0].name if following else "")
    return verdicts


def _show(verdicts: Iterable[Verdict], console: Console) -> None:
    """A line for each check, and below the rows that disagree."""
    verdicts = list(verdicts)
    table = Table(box=None, pad_edge=False)
    table.add_column("Check", no_wrap=True)
    table.add_column("Verdict", justify="right")
    table.add_column("What holds")
    for verdict in verdicts:
        said = "[green]OK[/]" if verdict.agrees else f"[bold red]{verdict.count} rows[/]"
        table.add_row(verdict.check.name, said, verdict.check.sentence)
    console.print(table)
    for verdict in verdicts:
        if verdict.agrees:
            continue
        console.print(f"\n[bold red]{verdict.check.name}[/]: {verdict.check.sentence}")
        for row in verdict.rows:
            console.print(f"  {row.subject}: {row.found}", markup=False, highlight=False)
        if verdict.count > len(verdict.rows):
            console.print(f"  … and {verdict.count - len(verdict.rows)} more")
    broken = sum(not verdict.agrees for verdict in verdicts)
    console.print(
        f"\n[bold red]{broken} of {len(verdicts)} checks disagree.[/]"
        if broken
        else f"\n[green]All {len(verdicts)} checks agree.[/]"
    )


def _as_json(verdict: Verdict) -> dict[str, object]:
    return {
        "name": verdict.check.name,
        "sentence": verdict.check.sentence,
        "agrees": verdict.agrees,
        "count": verdict.count,
        "rows": [{"subject": row.subject, "found": row.found} for row in verdict.rows],
        "seconds": round(verdict.seconds, 4),
    }


def _could_not(sentence: str) -> int:
    print(f"hustlexp: {sentence}", file=sys.stderr)
    return COULD_NOT
