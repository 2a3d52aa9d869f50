from __future__ import annotations

import asyncio
import io
import time
from contextlib import suppress
from uuid import UUID

import pytest
from rich.cells import cell_len
from rich.console import Console

from bench.simulator import summary, terminal
from bench.simulator.city import City, Setting
from bench.simulator.people import Role
from bench.simulator.projection import LatLng
from bench.simulator.run_log import RunLog, TaskTrace
from tests.bench.simulator.small_city import SmallCity

SIZES = [(80, 24), (81, 30), (111, 40), (112, 40), (160, 50), (240, 70)]


async def no_account(role: Role, name: str, home: LatLng | None) -> tuple[str, UUID]:
    """No accounts are needed to look at a city."""
    raise AssertionError((role, name, home))


@pytest.fixture
def city() -> City:
    """A city in which something happened, without a service."""
    run_log = RunLog()
    now = time.monotonic()
    for number in range(40):
        trace = TaskTrace(
            UUID(int=number), "Carry a very long sofa up two floors", "Park Rise", 5500, 4675
        )
        trace.radius_miles = (3.0, 5.0, 10.0)[number % 3]
        trace.notified, trace.hustler_name = 12 + number, "Bartholomew"
        trace.funded_at, trace.first_card_at = now - 9, now - 8.98
        trace.accepted_at, trace.hustler_notified_at = now - 4, now - 3.99
        trace.poster_notified_at = now - 3.97
        run_log.open_trace(trace)
        run_log.state_of(trace.task_id, ("MATCHING", "ACCEPTED", "WORKING")[number % 3])
        run_log.record("accepted", f"number {number}: Bartholomew, 0.4 mi away")
    setting = Setting("http://service", "ws://service/ws", 5, 7, 8.0)
    return City(setting, SmallCity(5, 5), no_account, run_log)


def drawn(city: City, width: int, height: int) -> list[str]:
    """The screen as lines of text."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    console.print(terminal.screen(city, width, height, "http://127.0.0.1:8000"), end="")
    return file.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_screen_fits_every_terminal(city: City, width: int, height: int) -> None:
    """Never a line too many or too wide; figures, tasks and events are all there."""
    lines = drawn(city, width, height)
    assert len(lines) == height
    assert max(cell_len(line) for line in lines) <= width
    text = "\n".join(lines)
    for word in ("sessions", "time to accept", "machinery", "tasks", "events", "number 39", "paid"):
        assert word in text


def test_a_larger_terminal_shows_more(city: City) -> None:
    """Tasks and events grow with the window."""
    small, large = ("\n".join(drawn(city, *size)) for size in ((80, 24), (200, 60)))
    assert large.count("sofa") > small.count("sofa") >= 5
    assert large.count("number") > small.count("number") >= 3
    assert "Bartholo" in large


def test_the_time_to_accept_is_split_between_people_and_machinery(city: City) -> None:
    """Funded to card 20 ms, thinking 5.0 s, accept to both notified 30 ms."""
    text = "\n".join(drawn(city, 80, 30))
    assert "5.0 s, people 5.0 s of it; at life's pace about 40 s" in text
    assert "people live 8x as fast as life" in text
    assert "first card 20 ms" in text
    assert "both notified 30 ms" in text


async def test_without_a_terminal_every_line_is_printed_once(city: City) -> None:
    """For logs and pipes."""
    file = io.StringIO()
    watching = asyncio.create_task(terminal.watch(city, Console(file=file), "http://x"))
    await asyncio.sleep(0.1)
    city.run_log.record("paid", "Ada is paid")
    await asyncio.sleep(0.4)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    lines = file.getvalue().splitlines()
    assert len(lines) == 41
    assert [line for line in lines if "Ada is paid" in line] == lines[-1:]


def test_a_summary_counts_each_task_once(city: City) -> None:
    """Funded, accepted and paid are stages, not kinds."""
    first, second, *_ = city.run_log.task_traces.values()
    city.run_log.paid(first.task_id)
    city.run_log.paid(first.task_id)
    second.in_reach = False
    figures = summary.summarise(city, None)
    assert (figures.tasks.posted, figures.tasks.accepted, figures.tasks.paid) == (40, 40, 1)
    assert figures.funded_to_card is not None
    assert (figures.funded_to_card.count, figures.tasks.waited) == (39, 1)
    assert "accepted 40" in summary.text(figures)
    assert city.run_log.counts["paid"] == 1


def test_spreads_are_medians_and_95th_percentiles() -> None:
    """Nothing measured is no figure at all; one measurement is itself."""
    assert summary.spread([None]) is None
    assert summary.spread([0.5, None]) == summary.Spread(0.5, 0.5, 1)
    assert summary.spread(range(101)) == summary.Spread(50.0, 95.0, 101)
