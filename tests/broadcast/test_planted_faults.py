"""Faults that would cost somebody an offer are planted one by one, and a quick test notices each.

In a copy of the tree: a test that cannot fail proves nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs import recipes
from tests.support.paths import ROOT

WITHIN_S = 120
pytestmark = pytest.mark.timeout(4 * WITHIN_S)


@dataclass(frozen=True)
class Fault:
    """What is wrong, where, in which words, and the tests of which each must fail."""

    name: str
    file: str
    right: str
    wrong: str
    noticed_by: tuple[str, ...]

    def plant(self, tree: Path) -> None:
        """Puts it in."""
        path = tree / self.file
        path.write_text(path.read_text("utf-8").replace(self.right, self.wrong), "utf-8")


SCORE = "tests/engine/matching/test_score.py::"
ROSTER_FILE = "tests/broadcast/test_roster.py::"
MATCHING = "tests/broadcast/test_matching.py::"
BRUTE_FORCE = MATCHING + "test_the_best_legal_pairs_are_chosen_until_nobody_has_place_or_pair[0]"
ROSTER = ROSTER_FILE + "test_it_knows_whom_it_need_not_read_whatever_overtakes_what[0]"
BROADCASTER = "tests/broadcast/test_broadcaster.py::"
INTERLEAVINGS = "tests/broadcast/test_interleavings.py::"
DUE = "tests/broadcast/test_due.py::"
FAULTS = (
    Fault(
        "a wrong weight",
        "engine/matching/hx_1_0.py",
        "trust=0.30, distance=0.25",
        "trust=0.25, distance=0.30",
        (SCORE + "test_hx_1_0_is_what_a_loop_over_pairs_makes_of_the_published_formulas",),
    ),
    Fault(
        "latitude and longitude of the exact place swapped as the task is kept",
        "broadcast/task_columns.py",
        "self.lat[slot], self.lng[slot] = params.lat, params.lng",
        "self.lng[slot], self.lat[slot] = params.lat, params.lng",
        (BRUTE_FORCE,),
    ),
    Fault(
        "latitude and longitude of the exact place swapped as it is measured",
        "broadcast/matching.py",
        "pairwise_m(tasks.lat[slot], tasks.lng[slot], lat, lng)",
        "pairwise_m(tasks.lng[slot], tasks.lat[slot], lat, lng)",
        (BRUTE_FORCE,),
    ),
    Fault(
        "latitude and longitude of a hustler swapped",
        "broadcast/evaluation.py",
        "unit_vectors(hustlers.lat[part], hustlers.lng[part])",
        "unit_vectors(hustlers.lng[part], hustlers.lat[part])",
        (BROADCASTER + "test_the_radius_decides_who_is_offered_and_when",),
    ),
    Fault(
        "latitude and longitude swapped in the presence record",
        "geo/presence/heartbeat_writes.py",
        "point.lat, point.lng, heartbeat.generation",
        "point.lng, point.lat, heartbeat.generation",
        (
            "tests/geo/presence/test_presence.py::test_a_heartbeat_is_read_back_to_the_last_bit",
            "tests/geo/presence/test_presence.py::test_a_radius_query_agrees_with_brute_force",
        ),
    ),
    Fault(
        "a dot product of unit vectors in float32",
        "broadcast/tiles.py",
        "            beyond = left[start : start + at_once] @ right\n",
        "            part = here[start : start + at_once].astype(np.float32)\n"
        "            dot = part @ there.astype(np.float32).T\n"
        "            beyond = np.where(2.0 - 2.0 * dot <= limit.astype(np.float32), -1.0, 1.0)\n",
        ("tests/broadcast/test_tiles.py::test_exactly_those_in_radius_are_found[3.0-a city]",),
    ),
    Fault(
        "too small a disk of cells",
        "geo/cells.py",
        "    limit_m = radius_m + REACH_M[resolution]\n",
        "    limit_m = radius_m + 0.9 * REACH_M[resolution]\n",
        ("tests/geo/test_zero_miss.py::test_no_hustler_inside_a_radius_is_ever_missed",),
    ),
    Fault(
        "a score that is rounded before the threshold",
        "engine/matching/score.py",
        "return self.total >= HIDDEN_BELOW",
        "return np.round(self.total, 2) >= HIDDEN_BELOW",
        ("tests/engine/matching/test_score.py::test_visibility_is_decided_on_the_unrounded_score",),
    ),
    Fault(
        "places that an end does not free",
        "broadcast/broadcaster_state.py",
        "        self.roster.offers_opened(rows, -1)\n",
        "",
        (BROADCASTER + "test_a_place_that_becomes_free_is_offered_at_once",),
    ),
    Fault(
        "a count that is never lowered",
        "broadcast/roster.py",
        "        np.add.at(self.hustlers.open_offers, rows, by)\n",
        "        np.add.at(self.hustlers.open_offers, rows, max(by, 0))\n",
        (ROSTER, BROADCASTER + "test_a_place_that_becomes_free_is_offered_at_once"),
    ),
    Fault(
        "a change after which nobody is read",
        "broadcast/roster.py",
        "        self._stale[rows[rows != NOBODY]] = True\n",
        "",
        (ROSTER, BROADCASTER + "test_nobody_is_asked_about_who_cannot_be_offered"),
    ),
    Fault(
        "a read that overwrites a later one",
        "broadcast/roster.py",
        "np.flatnonzero(self._read[rows] == read)",
        "np.arange(rows.size)",
        (
            ROSTER_FILE + "test_an_answer_that_a_later_read_has_overtaken_counts_for_nothing",
            ROSTER,
        ),
    ),
    Fault(
        "a read that still counts what has ended meanwhile",
        "broadcast/roster.py",
        "            self._stale[rows[self._read[rows] != _NONE]] = True\n",
        "",
        (ROSTER,),
    ),
    Fault(
        "offered bits that are lost at a takeover",
        "broadcast/broadcaster_state.py",
        "        self.offered.add(np.full(rows.size, broadcast.slot), rows)\n",
        "",
        (BROADCASTER + "test_nobody_is_asked_about_who_cannot_be_offered",),
    ),
    Fault(
        "an instant of the future that is dropped",
        "broadcast/due.py",
        "        heapq.heappush(self._heap, (at_s, self._count, kind, broadcast))\n",
        "        if at_s <= self.next_at_s():\n"
        "            heapq.heappush(self._heap, (at_s, self._count, kind, broadcast))\n",
        (DUE + "test_everything_comes_once_when_it_is_due_in_order",),
    ),
    Fault(
        "an instant for which nobody wakes",
        "broadcast/due.py",
        "        if is_first:\n            self._sooner()\n",
        "",
        (
            DUE + "test_everything_comes_once_when_it_is_due_in_order",
            BROADCASTER + "test_radius_steps_and_ends_wake_for_themselves",
        ),
    ),
    Fault(
        "a reservation that outlives its insert",
        "broadcast/offer_inserts.py",
        "        self._state.offered.discard(pairs.slot, pairs.row)\n        self._state.roster",
        "        self._state.roster",
        (INTERLEAVINGS + "test_an_insert_that_fails_gives_the_pair_and_its_place_back",),
    ),
    Fault(
        "a place that outlives its insert",
        "broadcast/offer_inserts.py",
        "roster.offers_opened(pairs.row, -1)\n\n    def _learn",
        "roster\n\n    def _learn",
        (INTERLEAVINGS + "test_an_insert_that_fails_gives_the_pair_and_its_place_back",),
    ),
    Fault(
        "a slot that another broadcast has got meanwhile",
        "broadcast/matching.py",
        "        same = self._running.serial[matches.slot] == matches.serial\n",
        "        same = matches.serial == matches.serial\n",
        (MATCHING + "test_a_slot_that_another_broadcast_has_got_meanwhile_is_left_alone",),
    ),
    Fault(
        "a chosen pair that is offered as its slot's next broadcast",
        "broadcast/offer_inserts.py",
        "np.asarray(self._state.running.serial[pairs.slot] == pairs.serial)",
        "np.ones(len(pairs), np.bool_)",
        (
            "tests/broadcast/test_offer_inserts.py::test_a_chosen_pair_is_not_offered_as_another_broadcast",
        ),
    ),
    Fault(
        "a takeover that fails and rings no more",
        "broadcast/broadcaster.py",
        "            self._hustlers_woken |= hustlers\n            self._wake.set()\n",
        "            self._hustlers_woken |= hustlers\n",
        (INTERLEAVINGS + "test_a_takeover_that_fails_is_tried_again_by_itself",),
    ),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy as it is."""
    copy: Path = tmp_path_factory.mktemp("planted") / "tree"
    copy.mkdir()
    for name in recipes.COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(ROOT / name, copy)
    return copy


def outcomes(tree: Path, tests: Sequence[str]) -> dict[str, set[str]]:
    """PASSED or FAILED of each, run in a copy; of one with parameters whatever they came to."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "--tb=no", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env=recipes.inside(tree),
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * WITHIN_S,
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    received = re.findall(r"^(PASSED|FAILED) (.+?)(?: - .*)?$", ran.stdout, re.MULTILINE)
    return {
        test: {outcome for outcome, name in received if name == test or name.startswith(f"{test}[")}
        for test in tests
    }


def test_every_fault_has_its_place() -> None:
    """Its words stand in the file once, whatever has been renamed around them."""
    texts = {fault: (ROOT / fault.file).read_text("utf-8") for fault in FAULTS}
    assert [fault.name for fault, text in texts.items() if text.count(fault.right) != 1] == []


@pytest.mark.long
def test_nothing_is_noticed_where_nothing_is_wrong(tree: Path) -> None:
    """Every test that a fault names passes without it."""
    tests = sorted({test for fault in FAULTS for test in fault.noticed_by})
    assert outcomes(tree, tests) == {test: {"PASSED"} for test in tests}


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_noticed(tree: Path, fault: Fault) -> None:
    """By each of the tests that are named beside it."""
    path = tree / fault.file
    right = path.read_bytes()
    fault.plant(tree)
    try:
        found = outcomes(tree, fault.noticed_by)
        assert found == {test: {"FAILED"} for test in fault.noticed_by}
    finally:
        path.write_bytes(right)
