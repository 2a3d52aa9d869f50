"""How a benchmark speaks: ours, the peer's in the same run, and the ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: lower is better, and the ratio says how many times lower ours is."""

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
    """A table on standard output."""
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
