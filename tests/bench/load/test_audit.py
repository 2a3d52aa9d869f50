from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from bench.load.users.audit import CardAudit, EventAudit, Finding


def welcomed(last_seq: int) -> EventAudit:
    """An audit after its first WELCOME."""
    audit = EventAudit()
    audit.welcome(last_seq)
    return audit


def test_events_in_order_over_a_resume_are_no_finding() -> None:
    """Pushed, replayed before the next WELCOME, and known to a PONG before they come."""
    audit = welcomed(3)
    audit.event(4)
    audit.pong(5)
    audit.event(5)
    audit.pong(5)
    audit.event(6)
    audit.welcome(6)
    assert audit.last_seq == 6


@pytest.mark.parametrize(
    "broken",
    [
        lambda audit: audit.event(5),
        lambda audit: audit.event(3),
        lambda audit: audit.welcome(4),
        lambda audit: audit.welcome(2),
        lambda audit: audit.resync("TOO_OLD"),
        lambda audit: (audit.pong(4), audit.pong(4)),
    ],
    ids=["missing", "twice", "not replayed", "gone back", "resync", "not pushed"],
)
def test_a_broken_promise_about_events_is_one_finding(
    broken: Callable[[EventAudit], object],
) -> None:
    """At 3, whose next is 4."""
    audit = welcomed(3)
    with pytest.raises(Finding):
        broken(audit)


def test_a_gap_is_found_once() -> None:
    """The audit goes on from what came."""
    audit = welcomed(3)
    with pytest.raises(Finding):
        audit.event(7)
    audit.event(8)


def test_an_event_before_the_first_welcome_is_a_finding() -> None:
    """A session that gives no number is told none."""
    with pytest.raises(Finding):
        EventAudit().event(1)


def test_a_card_may_come_once_on_a_socket_and_again_when_it_was_withdrawn() -> None:
    """A new socket begins with the cards of its WELCOME."""
    cards, one, other = CardAudit(), uuid4(), uuid4()
    cards.welcome([one])
    cards.card(other)
    cards.closed(other, withdrawn=True)
    cards.card(other)
    cards.answered(other, "SKIPPED")
    for again in (one, other):
        with pytest.raises(Finding):
            cards.card(again)
    cards.welcome([])
    cards.card(one)


@pytest.mark.parametrize("ended", ["closed", "DECLINED"])
def test_a_card_never_comes_after_its_end(ended: str) -> None:
    """Neither as a push nor in a WELCOME, on whichever socket."""
    cards, card = CardAudit(), uuid4()
    cards.welcome([card])
    if ended == "closed":
        cards.closed(card, withdrawn=False)
    else:
        cards.answered(card, ended)
    with pytest.raises(Finding):
        cards.welcome([card])
    cards.welcome([])
    with pytest.raises(Finding):
        cards.card(card)
