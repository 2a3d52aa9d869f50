"""Supply and demand by cell: computed once for all readers, and right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.http.parts import Parts
from gateway.tracking import demand as demand_module
from geo import cells
from geo.points import LatLng
from tests.support.rest import MILE_LAT, People, Person


def cell_at(answer: Any, place: dict[str, float]) -> Any:
    """The answer's cell that a place lies in; None where it has none."""
    wanted = cells.cell_of(LatLng(place["lat"], place["lng"]), answer["cell_resolution"])
    found = [cell for cell in answer["cells"] if int(cell["cell"], 16) == wanted]
    return found[0] if found else None


@pytest.fixture
def fresh(parts: Parts) -> None:
    """Forgets what was computed for others."""
    parts.demand._look = None


async def test_a_cell_counts_its_tasks_its_hustlers_and_how_fast_work_is_taken(
    people: People, admin: Person, parts: Parts
) -> None:
    """One that waits, one that was taken, two who wait; elsewhere nothing."""
    poster, _, taken = await people.accepted()
    place = taken["location"]
    waiting = await people.funded(poster, location=place)
    standard = await people.funded(poster, mode="STANDARD", location=place)
    assert (waiting["state"], standard["state"]) == ("MATCHING", "OPEN")
    await people.live_near(taken, miles=0.0)
    for _ in range(200):  # a position is read anew behind what its hustler has won
        parts.demand._look = None
        answer = await admin.good("GET", "/v1/admin/demand?cell_resolution=5")
        cell = cell_at(answer, place)
        if cell["active_hustlers"] == 2:
            break
        await asyncio.sleep(0.02)
    assert (cell["open_tasks"], cell["active_hustlers"], cell["accepted"]) == (2, 2, 1)
    assert 0 < cell["median_time_to_accept_s"] < 60
    assert cell_at(answer, {"lat": place["lat"] + 100 * MILE_LAT / 3, "lng": -20.0}) is None
    assert answer["open_tasks"] >= 2
    assert answer["open_tasks"] == sum(each["open_tasks"] for each in answer["cells"])


async def test_all_readers_share_one_look(
    people: People, admin: Person, parts: Parts, fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has changed since is seen when the look is ten seconds old, and not before."""
    now = [1_000.0]
    monkeypatch.setattr(parts.demand, "_monotonic", lambda: now[0])
    before = await admin.good("GET", "/v1/admin/demand")
    task = await people.funded(await people.person("poster"))
    again = await admin.good("GET", "/v1/admin/demand")
    other = await admin.good("GET", "/v1/admin/demand?cell_resolution=9")
    assert again == before
    assert before["cell_resolution"] == 7
    assert other["computed_at"] == before["computed_at"]
    now[0] += demand_module.FRESH_S
    later = await admin.good("GET", "/v1/admin/demand")
    assert later["computed_at"] > before["computed_at"]
    assert cell_at(before, task["location"]) is None
    assert cell_at(later, task["location"])["open_tasks"] == 1


async def test_a_cell_that_h3_does_not_have_or_we_do_not_show_is_refused(admin: Person) -> None:
    """5 to 9, whole."""
    for size in ("4", "10", "-1", "7.5", "seven", ""):
        refused = await admin.call("GET", f"/v1/admin/demand?cell_resolution={size}")
        assert refused.refusal()[:2] == (422, "VALIDATION_ERROR"), size
