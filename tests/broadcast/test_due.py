"""The heap of instants against a list."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from broadcast.due import DueInstants

instants = st.integers(0, 50).map(float)
steps = st.lists(st.tuples(st.sampled_from(["add", "take"]), instants), max_size=40)


@given(steps)
def test_everything_comes_once_when_it_is_due_in_order(steps: list[tuple[str, float]]) -> None:
    """And whoever waits is woken by what comes before all else, and by nothing more."""
    woken: list[float] = []
    due = DueInstants(lambda: woken.append(due.next_at_s()))
    model: list[tuple[float, UUID]] = []
    for number, (what, at_s) in enumerate(steps):
        if what == "add":
            earliest = min((instant for instant, _ in model), default=float("inf"))
            before = len(woken)
            due.add(at_s, "END", UUID(int=number))
            model.append((at_s, UUID(int=number)))
            assert woken[before:] == ([at_s] if at_s < earliest else [])
        else:
            taken = due.take(at_s)
            expected = sorted(entry for entry in model if entry[0] <= at_s)
            assert [(instant, broadcast) for instant, _, broadcast in taken] == expected
            model = [entry for entry in model if entry[0] > at_s]
        assert due.next_at_s() == min((instant for instant, _ in model), default=float("inf"))


def test_an_instant_keeps_its_kind() -> None:
    """A radius that grows and an end may fall together."""
    due = DueInstants()
    due.add(5.0, "EXPANSION", UUID(int=1))
    due.add(5.0, "END", UUID(int=1))
    assert [kind for _, kind, _ in due.take(5.0)] == ["EXPANSION", "END"]
