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


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of ours and the bound that it is to keep; NaN keeps none."""

    what: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool:
        """Returns whether the figure is within its bound."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.at_most is not None and self.value <= self.at_most

    @property
    def bound(self) -> str:
        """Returns the bound in words."""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


def print_targets(title: str, targets: Sequence[Target]) -> int:
    """Prints figures beside their bounds, and how many are met; returns 0 where all are, else 1."""
    table = Table(title=title, title_justify="left")
    for heading in ("", "measured", "target", ""):
        table.add_column(heading, justify="right" if heading == "measured" else "left")
    for target in targets:
        mark = "[green]met[/]" if target.is_met else "[red]missed[/]"
        table.add_row(target.what, f"{target.value:.3g} {target.unit}", target.bound, mark)
    Console().print(table)
    met = sum(target.is_met for target in targets)
    print(f"{met} of {len(targets)} targets met")
    return 0 if met == len(targets) else 1


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
