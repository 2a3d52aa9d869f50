"""How the core grows, as a table and as a drawing: `docs/performance.md`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol


class Point(Protocol):
    """The figures of one size."""

    hustlers: int
    broadcasts: int
    settle: dict[str, float]
    postgres_us: float

    @property
    def tick_ms(self) -> float:
        """Returns the CPU of a settled tick."""


WIDTH: Final = 720
HEIGHT: Final = 360
LEFT: Final = 70
BOTTOM: Final = 300
RIGHT: Final = 560
TOP: Final = 30
LABEL_APART: Final = 16
TICK_MS: Final = (1.0, 1000.0)
COLOURS: Final = {100: "#0a7d5a", 1_000: "#1f5fbf", 10_000: "#b3361f"}


def growth_table(points: Sequence[Point]) -> str:
    """Returns the figures of all sizes as a table in Markdown."""
    lines = [
        "| Hustlers | Broadcasts | Tick, settled | Offers | Settled in | PostgreSQL per offer |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {p.hustlers:,} | {p.broadcasts:,} | {p.tick_ms:.1f} ms | {p.settle['offers']:,.0f} "
        f"| {p.settle['seconds']:.1f} s | {p.postgres_us:.0f} µs |"
        for p in points
    ]
    return "\n".join(lines) + "\n"


def growth_svg(points: Sequence[Point]) -> str:
    """Returns the CPU of a settled tick over the hustlers, a line for each number of broadcasts."""
    sizes = sorted({p.hustlers for p in points})
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img" '
        'aria-label="CPU of a settled tick by hustlers and broadcasts">'
    )
    parts = [
        head,
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for ms in (1, 10, 100, 300, 1000):
        y = _y(ms)
        dash = ' stroke-dasharray="6 4"' if ms == 300 else ""
        colour = "#b3361f" if dash else "#dddddd"
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.0f}" x2="{RIGHT}" y2="{y:.0f}" stroke="{colour}"{dash}/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{ms} ms</text>'
        )
    for hustlers in sizes:
        x = _x(hustlers, sizes)
        parts.append(
            f'<text x="{x:.0f}" y="{BOTTOM + 22}" text-anchor="middle">{hustlers:,}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + RIGHT) / 2:.0f}" y="{BOTTOM + 44}" text-anchor="middle">hustlers</text>'
    )
    ends: list[tuple[float, int, str]] = []
    for broadcasts, colour in COLOURS.items():
        line = sorted((p for p in points if p.broadcasts == broadcasts), key=lambda p: p.hustlers)
        if not line:
            continue
        at = [(_x(p.hustlers, sizes), _y(p.tick_ms)) for p in line]
        drawn = " ".join(f"{x:.0f},{y:.0f}" for x, y in at)
        parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="{colour}"/>' for x, y in at]
        ends.append((at[-1][1], broadcasts, colour))
    below = float(BOTTOM + LABEL_APART)
    for y, broadcasts, colour in sorted(ends, reverse=True):
        below = min(y + 4, below - LABEL_APART)  # lines may end nearer than a label is high
        parts.append(
            f'<text x="{RIGHT - 8}" y="{below:.0f}" fill="{colour}">{broadcasts:,} broadcasts</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _x(hustlers: int, sizes: Sequence[int]) -> float:
    low, high = math.log(min(sizes)), math.log(max(sizes))
    share = (math.log(hustlers) - low) / (high - low) if high > low else 0.0
    return LEFT + 20 + share * (RIGHT - LEFT - 40)


def _y(ms: float) -> float:
    low, high = map(math.log, TICK_MS)
    share = (math.log(min(max(ms, TICK_MS[0]), TICK_MS[1])) - low) / (high - low)
    return BOTTOM - share * (BOTTOM - TOP)
