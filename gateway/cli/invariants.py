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
from sql.invariants import CheckResult

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
        results = asyncio.run(_results(settings.postgres.dsn, max(rows, 1), errors))
    except DatabaseUnfit as error:
        return _could_not(f"PostgreSQL answers, but not as the service needs it: {error}")
    except DatabaseAway as error:
        return _could_not(f"PostgreSQL does not answer: {error}")
    except DatabaseError as error:
        return _could_not(f"PostgreSQL refuses, is it migrated? {error.message}")
    if json:
        print(json_text.dumps([_as_json(result) for result in results], indent=2))
    else:
        _show(results, Console())
    return 0 if all(result.agrees for result in results) else 1


async def _results(dsn: str, rows_max: int, errors: Console) -> list[CheckResult]:
    checks = derived.checks()
    results = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(checks[0].name, total=len(checks))
        async with aclosing(derived.verify(dsn, rows_max)) as found:
            async for result in found:
                results.append(result)
                following = checks[len(results) : len(results) + 1]
                bar.update(task, advance=1, description=following[0].name if following else "")
    return results


def _show(results: Iterable[CheckResult], console: Console) -> None:
    """A line for each check, and below the rows that disagree."""
    results = list(results)
    table = Table(box=None, pad_edge=False)
    table.add_column("Check", no_wrap=True)
    table.add_column("Result", justify="right")
    table.add_column("What holds")
    for result in results:
        said = "[green]OK[/]" if result.agrees else f"[bold red]{result.count} rows[/]"
        table.add_row(result.check.name, said, result.check.sentence)
    console.print(table)
    for result in results:
        if result.agrees:
            continue
        console.print(f"\n[bold red]{result.check.name}[/]: {result.check.sentence}")
        for row in result.rows:
            console.print(f"  {row.subject}: {row.found}", markup=False, highlight=False)
        if result.count > len(result.rows):
            console.print(f"  … and {result.count - len(result.rows)} more")
    broken = sum(not result.agrees for result in results)
    console.print(
        f"\n[bold red]{broken} of {len(results)} checks disagree.[/]"
        if broken
        else f"\n[green]All {len(results)} checks agree.[/]"
    )


def _as_json(result: CheckResult) -> dict[str, object]:
    return {
        "name": result.check.name,
        "sentence": result.check.sentence,
        "agrees": result.agrees,
        "count": result.count,
        "rows": [{"subject": row.subject, "found": row.found} for row in result.rows],
        "seconds": round(result.seconds, 4),
    }


def _could_not(sentence: str) -> int:
    print(f"hustlexp: {sentence}", file=sys.stderr)
    return COULD_NOT
