"""The roster against a dict: whose row it is, what is known of it, and when it must be read again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from uuid import UUID

import numpy as np
import pytest

from broadcast.hustler_columns import HustlerColumns, Rows
from broadcast.roster import NOBODY, Roster, as_ids

OPEN_MAX = 10
# among them ids that end in zeros, which numpy would drop
PEOPLE = [UUID(int=number << 8 * (number % 3)) for number in range(1, 6)]


@dataclass
class Fact:
    """What the world holds of a hustler: the truth, in which every read looks."""

    open_offers: int = 0
    active: bool = True
    changes_at: float = float("inf")


@dataclass
class Read:
    """A read under way: what it has seen when it began."""

    number: int
    rows: Rows
    seen: HustlerColumns


def everybody() -> dict[UUID, Fact]:
    """The truth at the beginning."""
    return {person: Fact() for person in PEOPLE}


def columns(people: list[UUID], facts: dict[UUID, Fact]) -> HustlerColumns:
    """What a read answers."""
    answer = HustlerColumns.empty(len(people))
    for n, person in enumerate(people):
        answer.low[n] = person.int & ((1 << 64) - 1)
        answer.open_offers[n] = facts[person].open_offers
        answer.active[n] = facts[person].active
        answer.changes_at[n] = facts[person].changes_at
    return answer


class Model:
    """A roster, the truth, and the reads under way; `random` decides what happens next."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.roster = Roster()
        self.facts = everybody()
        self.known: set[UUID] = set()
        self.reads: list[Read] = []
        self.at_s = 0.0

    def some(self) -> list[UUID]:
        """Some people."""
        return self.random.sample(PEOPLE, self.random.randint(0, len(PEOPLE)))

    def rows(self, people: list[UUID]) -> Rows:
        """The rows of people who have one."""
        found = self.roster.rows_of(as_ids(people))
        assert [row != NOBODY for row in found] == [person in self.known for person in people]
        rows: Rows = found[found != NOBODY]
        return rows

    def meet(self) -> None:
        """Who has no row gets one."""
        people = self.some()
        new = [person for person in people if person not in self.known]
        self.roster.add(as_ids(new))
        self.known |= set(new)
        self.roster.seen(self.rows(people), self.at_s)

    def begin_read(self) -> None:
        """The answer holds what stands now, and may come late."""
        rows = self.roster.to_read(self.rows(self.some()), self.at_s)
        number = self.roster.reading(rows)
        self.reads.append(Read(number, rows, columns(self.roster.uuids(rows), self.facts)))

    def end_read(self) -> None:
        """In whatever order, some in vain."""
        if self.reads:
            read = self.reads.pop(self.random.randrange(len(self.reads)))
            if self.random.random() < 0.2:
                self.roster.unread(read.rows, read.number)
            else:
                self.roster.put(read.rows, read.seen, read.number)

    def change(self) -> None:
        """Somebody's state changes, and is told."""
        person = self.random.choice(PEOPLE)
        self.facts[person].active = self.random.random() < 0.7
        self.facts[person].changes_at = self.at_s + self.random.choice([1.0, 9.0, float("inf")])
        assert self.roster.changed([person]) == [known for known in [person] if known in self.known]

    def offer(self) -> None:
        """Offers are made by the broadcaster itself: counted, not told."""
        people = [person for person in self.some() if person in self.known]
        for person in people:
            self.facts[person].open_offers += 1
        self.roster.offers_opened(self.rows(people), 1)

    def end(self) -> None:
        """A broadcast ends: its hustlers have a place more, and nobody tells of them."""
        people = [p for p in self.some() if p in self.known and self.facts[p].open_offers]
        for person in people:
            self.facts[person].open_offers -= 1
        self.roster.offers_opened(self.rows(people), -1)

    def wait(self) -> None:
        """Time passes, and may change a state by itself."""
        self.at_s += self.random.choice([0.5, 5.0])

    def forget(self) -> None:
        """Whoever was not seen lately gives the row to somebody else."""
        if not self.reads:
            self.roster.forget(self.at_s - 9.0)
            found = self.roster.rows_of(as_ids(PEOPLE))
            self.known = {p for p, row in zip(PEOPLE, found, strict=True) if row != NOBODY}
            assert len(self.roster) == len(self.known)

    def doubt_all(self) -> None:
        """What changed is not known."""
        self.roster.all_changed()
        rows = self.rows(sorted(self.known))
        assert self.roster.to_read(rows, self.at_s).size == rows.size

    def check(self) -> int:
        """Everybody has an own row; who need not be read is known, a place too many at most.

        A count may be too low, which a question corrects, and never too high, which nothing does.
        Returns how many were known.
        """
        rows = self.rows(sorted(self.known))
        assert len(set(rows.tolist())) == len(self.known)
        assert self.roster.uuids(rows) == sorted(self.known)
        unknown = {row for read in self.reads for row in read.rows.tolist()}
        unknown |= set(self.roster.to_read(rows, self.at_s).tolist())
        free = self.roster.free_places(rows, OPEN_MAX)
        known = [
            (self.facts[person], bool(self.roster.hustlers.active[row]), places)
            for person, row, places in zip(sorted(self.known), rows.tolist(), free, strict=True)
            if row not in unknown
        ]
        for fact, active, places in known:
            assert active == fact.active
            assert not active or places >= OPEN_MAX - fact.open_offers
        return len(known)


@pytest.mark.parametrize("seed", range(4))
def test_it_knows_whom_it_need_not_read_whatever_overtakes_what(seed: int) -> None:
    """Reads that fail, overtake each other, and are overtaken by changes, offers and ends."""
    known = 0
    for run in range(60):
        model = Model(Random(f"{seed} {run}"))
        usual = [
            model.meet, model.begin_read, model.begin_read, model.end_read, model.end_read,
            model.change, model.offer, model.end, model.wait,
        ]  # fmt: skip
        rare = [model.forget, model.doubt_all]
        for _ in range(50):
            model.random.choice(rare if model.random.random() < 0.05 else usual)()
            known += model.check()
    assert known > 1_000


def test_an_answer_that_a_later_read_has_overtaken_counts_for_nothing() -> None:
    """Two rounds read one hustler, and the older answer is the last to arrive."""
    roster, facts = Roster(), everybody()
    person = PEOPLE[0]
    roster.add(as_ids([person]))
    row = roster.rows_of(as_ids([person]))
    older = Read(roster.reading(row), row, columns([person], facts))
    facts[person].active = False
    roster.changed([person])
    newer = Read(roster.reading(row), row, columns([person], facts))
    for read in (newer, older):
        roster.put(read.rows, read.seen, read.number)
    assert not roster.to_read(row, 0.0).size
    assert not roster.hustlers.active[row][0]


def test_it_tells_who_is_active_again_and_not_who_is_new() -> None:
    """Their offers may be open again."""
    roster, facts = Roster(), everybody()
    roster.add(as_ids(PEOPLE[:2]))
    rows = roster.rows_of(as_ids(PEOPLE[:2]))
    said = []
    for is_active in (True, False, True, True):
        facts[PEOPLE[0]].active = is_active
        seen = columns(PEOPLE[:2], facts)
        said.append(roster.uuids(roster.put(rows, seen, roster.reading(rows))))
    assert said == [[], [], [PEOPLE[0]], []]


def test_it_grows_beyond_what_it_was_made_for() -> None:
    """Rows keep their numbers, and who is found together stands together."""
    roster = Roster()
    first = [UUID(int=7 * n) for n in range(1, 901)]
    roster.add(as_ids(first))
    rows = roster.rows_of(as_ids(first))
    roster.add(as_ids([UUID(int=7 * n + 1) for n in range(3_000)]))
    assert np.array_equal(roster.rows_of(as_ids(first)), rows)
    assert np.array_equal(rows, np.arange(900))
    assert len(roster) == 3_900
    assert not roster.free_places(rows, OPEN_MAX).any()
