"""The roster against a dict: whose row it is, what is known of it, and when it must be read again."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broadcast.hustler_columns import HustlerColumns, Rows
from broadcast.roster import NOBODY, Roster, as_ids, as_uuids

OPEN_MAX = 10
# among them ids that end in zeros, which numpy would drop
PEOPLE = [UUID(int=number << 8 * (number % 3)) for number in range(1, 6)]
some_people = st.lists(st.sampled_from(PEOPLE), max_size=5, unique=True)


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


class RosterMachine(RuleBasedStateMachine):
    """Whoever is not to be read, and is read by nobody now, is known as they are, or lower."""

    def __init__(self) -> None:
        super().__init__()
        self.roster = Roster()
        self.facts = everybody()
        self.known: set[UUID] = set()
        self.reads: list[Read] = []
        self.at_s = 0.0

    def rows(self, people: list[UUID]) -> Rows:
        """The rows of people who have one."""
        found = self.roster.rows_of(as_ids(people))
        assert [row != NOBODY for row in found] == [person in self.known for person in people]
        rows: Rows = found[found != NOBODY]
        return rows

    @rule(people=some_people)
    def meet(self, people: list[UUID]) -> None:
        """Who has no row gets one."""
        new = [person for person in people if person not in self.known]
        self.roster.add(as_ids(new))
        self.known |= set(new)
        self.roster.seen(self.rows(people), self.at_s)

    @rule(people=some_people)
    def begin_read(self, people: list[UUID]) -> None:
        """The answer holds what stands now, and may come late."""
        rows = self.roster.to_read(self.rows(people), self.at_s)
        number = self.roster.reading(rows)
        self.reads.append(Read(number, rows, columns(self.roster.uuids(rows), self.facts)))

    @precondition(lambda self: self.reads)
    @rule(which=st.integers(0, 5), fails=st.booleans())
    def end_read(self, which: int, *, fails: bool) -> None:
        """In whatever order, some in vain."""
        read = self.reads.pop(which % len(self.reads))
        if fails:
            self.roster.unread(read.rows, read.number)
        else:
            self.roster.put(read.rows, read.seen, read.number)

    @rule(person=st.sampled_from(PEOPLE), active=st.booleans(), lasts_s=st.sampled_from([1, 9]))
    def change(self, person: UUID, *, active: bool, lasts_s: float) -> None:
        """Somebody's state changes, and is told."""
        self.facts[person].active = active
        self.facts[person].changes_at = self.at_s + lasts_s
        told = as_uuids(self.roster.changed([person]))
        assert told == [person for person in [person] if person in self.known]

    @rule(people=some_people)
    def offer(self, people: list[UUID]) -> None:
        """Offers are made by the broadcaster itself: counted, not told."""
        people = [person for person in people if person in self.known]
        for person in people:
            self.facts[person].open_offers += 1
        self.roster.offers_opened(self.rows(people), 1)

    @rule(people=some_people)
    def end(self, people: list[UUID]) -> None:
        """A broadcast ends: its hustlers have a place more, and nobody tells of them."""
        people = [p for p in people if p in self.known and self.facts[p].open_offers]
        for person in people:
            self.facts[person].open_offers -= 1
        self.roster.offers_opened(self.rows(people), -1)

    @rule(seconds=st.sampled_from([0.5, 5.0]))
    def wait(self, seconds: float) -> None:
        """Time passes, and may change a state by itself."""
        self.at_s += seconds

    @precondition(lambda self: not self.reads)
    @rule()
    def forget(self) -> None:
        """Whoever was not seen lately gives the row to somebody else."""
        self.roster.forget(self.at_s - 9.0)
        found = self.roster.rows_of(as_ids(PEOPLE))
        self.known = {person for person, row in zip(PEOPLE, found, strict=True) if row != NOBODY}
        assert len(self.roster) == len(self.known)

    @rule()
    def doubt_all(self) -> None:
        """What changed is not known."""
        self.roster.all_changed()
        rows = self.rows(sorted(self.known))
        assert self.roster.to_read(rows, self.at_s).size == rows.size

    @invariant()
    def everybody_has_a_row_of_their_own(self) -> None:
        """And it is the one by which the id is found."""
        rows = self.rows(sorted(self.known))
        assert len(set(rows.tolist())) == len(self.known)
        assert self.roster.uuids(rows) == sorted(self.known)

    @invariant()
    def who_need_not_be_read_is_known(self) -> None:
        """A count may be too low, which a question corrects, and never too high, which nothing does."""
        under_way = {row for read in self.reads for row in read.rows.tolist()}
        rows = self.rows(sorted(self.known))
        to_read = set(self.roster.to_read(rows, self.at_s).tolist())
        free = self.roster.free_places(rows, OPEN_MAX)
        for person, row, places in zip(sorted(self.known), rows.tolist(), free, strict=True):
            if row in under_way or row in to_read:
                continue
            fact = self.facts[person]
            assert bool(self.roster.hustlers.active[row]) == fact.active
            if fact.active:
                assert places >= OPEN_MAX - fact.open_offers


TestRoster = RosterMachine.TestCase
TestRoster.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)


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
