"""The terminal view of a run: figures, running tasks with their growing radius, latest events.

`screen` is a pure function of the city and the terminal's size; without a terminal the latest
events are printed line by line.
"""

from __future__ import annotations

import asyncio
import time
from itertools import islice

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bench.simulator.city import City
from bench.simulator.money_check import dollars
from bench.simulator.run_log import Event, TaskTrace
from bench.simulator.summary import Spread, times

FRAMES_PER_S = 4
MAX_RADIUS_MILES = 10.0
BAR_WIDTH = 10
WIDE_COLUMNS = 112
FIGURES_ROWS = 6

STATE_STYLE = {
    "MATCHING": ("looking", "yellow"),
    "ACCEPTED": ("en route", "cyan"),
    "WORKING": ("working", "magenta"),
    "PROOF_SUBMITTED": ("review", "blue"),
    "DISPUTED": ("disputed", "red"),
    "COMPLETED": ("done", "green"),
    "CANCELLED": ("cancelled", "bright_black"),
    "EXPIRED": ("expired", "red"),
}
EVENT_STYLE = {
    "funded": "yellow",
    "accepted": "bold cyan",
    "started": "magenta",
    "approved": "blue",
    "paid": "bold green",
    "rejected": "red",
    "disputed": "bold red",
    "wave": "yellow",
    "expired": "red",
    "lost": "red",
}


def screen(city: City, width: int, height: int, map_url: str) -> RenderableType:
    """Returns the whole view at exactly that size (80x24 is enough, more shows more)."""
    layout = Layout()
    rest = height - 1 - FIGURES_ROWS
    tasks, events = Layout(name="tasks"), Layout(name="events")
    body = Layout(name="body")
    if width >= WIDE_COLUMNS:
        task_rows, event_rows, task_columns = rest - 3, rest - 2, width * 3 // 5
        tasks.ratio, events.ratio = 3, 2
        body.split_row(tasks, events)
    else:
        task_rows = max(3, (rest - 5) * 3 // 5)
        event_rows, task_columns = max(1, rest - task_rows - 5), width
        tasks.size = task_rows + 3
        body.split_column(tasks, events)
    layout.split_column(
        Layout(_title(city, map_url), size=1), Layout(_figures(city), size=FIGURES_ROWS), body
    )
    tasks.update(
        Panel(_task_table(city, task_rows, task_columns), title="tasks", title_align="left")
    )
    events.update(Panel(_events(city, event_rows), title="events", title_align="left"))
    return layout


def _title(city: City, map_url: str) -> Text:
    minutes, seconds = divmod(int(city.run_log.elapsed_s()), 60)
    title = Text(no_wrap=True, overflow="ellipsis")
    title.append(f" {city.crowd.name} ", "bold reverse")
    title.append(f" {minutes}:{seconds:02} · people live {city.setting.speed:g}x as fast as life")
    title.append(f" · map {map_url}", "cyan")
    return title


def _figures(city: City) -> RenderableType:
    counts, task_traces = city.run_log.counts, city.run_log.task_traces.values()
    states = [trace.state for trace in task_traces if trace.funded_at and trace.ended_at is None]
    people, tasks = Text(no_wrap=True), Text(no_wrap=True)
    connected = sum(session.connected for session in city.sessions())
    for text, parts in (
        (
            people,
            (
                ("sessions", connected),
                ("live", city.on_duty),
                ("cards", counts["card"]),
                ("rejected", counts["rejected"]),
                ("disputed", sum(trace.disputed for trace in task_traces)),
            ),
        ),
        (
            tasks,
            (
                ("looking", states.count("MATCHING")),
                ("en route", states.count("ACCEPTED")),
                ("working", states.count("WORKING") + states.count("PROOF_SUBMITTED")),
                ("accepted", sum(trace.accepted_at is not None for trace in task_traces)),
                ("paid", sum(trace.paid_at is not None for trace in task_traces)),
            ),
        ),
    ):
        for word, number in parts:
            text.append(f"{number:>3} ", "bold")
            text.append(f"{word}  ", "bright_black")
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text("time to accept"), _accept_line(city))
    grid.add_row(Text("machinery"), _machinery_line(city))
    moved = (
        f"paid {dollars(city.run_log.paid_cents)}, refunded {dollars(city.run_log.refunded_cents)}"
    )
    return Panel(
        Group(people, tasks, grid),
        title="now",
        title_align="left",
        subtitle=moved,
        subtitle_align="right",
    )


def _accept_line(city: City) -> Text:
    whole = times(city.run_log, lambda trace: trace.time_to_accept_s, in_reach=False)
    human = times(city.run_log, lambda trace: trace.time_to_decide_s, in_reach=False)
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f" {_median(whole)}", "bold green")
    line.append(", people ", "bright_black")
    line.append(_median(human), "bold yellow")
    line.append(" of it", "bright_black")
    if (seconds := at_lifes_pace_s(city)) is not None:
        line.append("; at life's pace about ", "bright_black")
        line.append(f"{seconds:.0f} s", "bold")
    return line


def at_lifes_pace_s(city: City) -> float | None:
    """Returns the median time to accept with people's share at life's pace."""
    whole = times(city.run_log, lambda trace: trace.time_to_accept_s, in_reach=False)
    human = times(city.run_log, lambda trace: trace.time_to_decide_s, in_reach=False)
    if whole is None or human is None or city.setting.speed == 1:
        return None
    return max(0.0, whole.median_s - human.median_s) + human.median_s * city.setting.speed


def _machinery_line(city: City) -> Text:
    card = times(city.run_log, lambda trace: trace.time_to_card_s, in_reach=True)
    notified = times(city.run_log, lambda trace: trace.time_to_notify_s, in_reach=False)
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(" funded → first card ", "bright_black")
    line.append(_median(card), "bold cyan")
    line.append("  accept → both notified ", "bright_black")
    line.append(_median(notified), "bold cyan")
    return line


def _median(figure: Spread | None) -> str:
    if figure is None:
        return "–"
    seconds = figure.median_s
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _task_table(city: City, rows: int, columns: int) -> RenderableType:
    now = time.monotonic()
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), header_style="bright_black")
    table.add_column("task", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("", width=9, no_wrap=True)
    table.add_column("radius", width=BAR_WIDTH + 6, no_wrap=True)
    table.add_column("cards", width=5, justify="right")
    table.add_column("since", width=6, justify="right")
    if columns >= 90:
        table.add_column("hustler", width=8, no_wrap=True)
    for trace in islice(_running(city, now), rows):
        word, style = STATE_STYLE.get(trace.state, (trace.state.lower(), "white"))
        price = f"[bright_black]${trace.price_cents / 100:.0f}[/]"
        cells: list[RenderableType] = [
            Text.from_markup(f"{trace.title} {price}"),
            Text(word, style),
            _radius(trace, style),
            Text(str(trace.notified or "")),
            Text(f"{now - (trace.funded_at or now):.0f} s"),
        ]
        if columns >= 90:
            cells.append(Text(trace.hustler_name, "cyan"))
        table.add_row(*cells)
    return table


def _running(city: City, now: float) -> list[TaskTrace]:
    """Returns the traces to show, newest first; ended ones stay for a moment."""
    shown = [
        trace
        for trace in city.run_log.task_traces.values()
        if trace.funded_at is not None and (trace.ended_at is None or now - trace.ended_at < 5)
    ]
    return sorted(shown, key=lambda trace: -(trace.funded_at or 0))


def _radius(trace: TaskTrace, style: str) -> RenderableType:
    if trace.radius_miles == 0:
        return Text("")
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(
        Bar(MAX_RADIUS_MILES, 0, trace.radius_miles, width=BAR_WIDTH, color=style),
        Text(f"{trace.radius_miles:g} mi", "bright_black"),
    )
    return grid


def _events(city: City, rows: int) -> RenderableType:
    last = list(city.run_log.events)[-rows:]
    return Group(*(_line(event) for event in reversed(last)))


def _line(event: Event) -> Text:
    minutes, seconds = divmod(int(event.at), 60)
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{minutes:>2}:{seconds:02} ", "bright_black")
    line.append(f"{event.kind:<9}", EVENT_STYLE.get(event.kind, "white"))
    line.append(event.text)
    return line


async def watch(city: City, console: Console, map_url: str) -> None:
    """Shows the run until cancelled: full screen on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        await _print_lines(city, console)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(screen(city, console.width, console.height, map_url), refresh=True)
            await asyncio.sleep(1 / FRAMES_PER_S)


async def _print_lines(city: City, console: Console) -> None:
    """Prints each event of the run log once, line by line."""
    printed = 0
    while True:
        fresh = city.run_log.recorded - printed
        for event in list(city.run_log.events)[-fresh:] if fresh else ():
            console.print(_line(event), soft_wrap=True)
        printed = city.run_log.recorded
        await asyncio.sleep(1 / FRAMES_PER_S)
