"""The report of a benchmark: our figure, the peer's of the same run, and their ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of ours and of the peer; lower is better."""

    what: str
    ours: float
    peer: float
    unit: str
    target: str = ""

    @property
    def ratio(self) -> float:
        """Peer divided by ours."""
        return self.peer / self.ours


def print_report(title: str, rows: Sequence[Row], *, peer: str) -> None:
    """Prints the rows as a table on standard output."""
    table = Table(title=title, title_justify="left")
    for heading in ("", "ours", peer, "ratio", "target"):
        table.add_column(heading, justify="left" if heading in {"", "target"} else "right")
    for row in rows:
        table.add_row(
            row.what,
            f"{row.ours:.3g} {row.unit}",
            f"{row.peer:.3g} {row.unit}",
            f"{row.ratio:.2f} ×",
            row.target,
        )
    Console().print(table)
