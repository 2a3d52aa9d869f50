from datetime import UTC, datetime, timedelta

import pytest

from engine.money.books import ProviderMovement
from engine.money.comparing import Booked, Difference, differences

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
SINCE, UNTIL = NOW - timedelta(days=1), NOW - timedelta(minutes=5)
EARLIER = NOW - timedelta(hours=1)

BOOKED = [
    Booked("PAYMENT", "pi_1", 4000, EARLIER, "e1"),
    Booked("TRANSFER", "tr_1", 3400, EARLIER, "e1", "s1"),
    Booked("REFUND", "re_2", 4000, EARLIER, "e2", "s2"),
    Booked("PAYMENT", "pi_2", 4000, EARLIER, "e2"),
]
MOVED = [
    ProviderMovement("PAYMENT", "pi_1", "SUCCEEDED", 4000, EARLIER, "e1"),
    ProviderMovement("TRANSFER", "tr_1", "SUCCEEDED", 3400, EARLIER, "e1", "s1"),
    ProviderMovement("REFUND", "re_2", "SUCCEEDED", 4000, EARLIER, "e2", "s2", "pi_2"),
    ProviderMovement("PAYMENT", "pi_2", "SUCCEEDED", 4000, EARLIER, "e2"),
]
KNOWN = {"e1", "e2", "e7", "e9", "s1", "s2"}


def compared(booked: list[Booked], movements: list[ProviderMovement]) -> list[Difference]:
    """Over the day."""
    return differences(booked, movements, since=SINCE, until=UNTIL, known=KNOWN)


def test_equal_books_have_no_differences() -> None:
    """In any order, with other people's movements and unfinished ones among them."""
    others = [
        ProviderMovement("PAYMENT", "pi_8", "SUCCEEDED", 100, EARLIER),
        ProviderMovement("REFUND", "re_8", "SUCCEEDED", 100, EARLIER, payment="pi_8"),
        ProviderMovement("PAYMENT", "pi_9", "PENDING", 0, EARLIER, "e9"),
        ProviderMovement("REFUND", "re_9", "FAILED", 4000, EARLIER, "e1", "s1", "pi_1"),
    ]
    assert compared(BOOKED, MOVED) == []
    assert compared(BOOKED[::-1], others + MOVED) == []


@pytest.mark.parametrize("lost", range(4))
def test_what_we_have_not_booked_can_be_repaired(lost: int) -> None:
    """Any of them."""
    (found,) = compared(BOOKED[:lost] + BOOKED[lost + 1 :], MOVED)
    assert (found.what, found.reference) == ("NOT_BOOKED", MOVED[lost].reference)
    assert found.theirs_cents == MOVED[lost].amount_cents
    assert found.repairable


@pytest.mark.parametrize("lost", range(4))
def test_what_the_provider_never_moved_is_for_people(lost: int) -> None:
    """Also when it has failed there since."""
    for movements in (MOVED[:lost] + MOVED[lost + 1 :], _failed(lost)):
        (found,) = compared(BOOKED, movements)
        assert (found.what, found.reference) == ("NOT_MOVED", BOOKED[lost].reference)
        assert not found.repairable


def test_another_amount_is_told_with_both() -> None:
    """To the cent."""
    movements = [ProviderMovement("PAYMENT", "pi_1", "SUCCEEDED", 4001, EARLIER, "e1"), *MOVED[1:]]
    (found,) = compared(BOOKED, movements)
    assert (found.what, found.ours_cents, found.theirs_cents) == ("AMOUNT", 4000, 4001)


def test_a_second_movement_for_the_same_purpose_is_told_as_such() -> None:
    """Booking it would pay twice; so would booking one of two that we both do not know."""
    again = ProviderMovement("TRANSFER", "tr_7", "SUCCEEDED", 3400, EARLIER, "e1", "s1")
    (found,) = compared(BOOKED, [*MOVED, again])
    assert (found.what, found.reference, found.repairable) == ("TWICE", "tr_7", False)
    both = compared([each for each in BOOKED if each.reference != "tr_1"], [*MOVED, again])
    assert [each.what for each in both] == ["NOT_BOOKED", "TWICE"]


def test_a_refund_of_ours_by_somebody_else_is_told() -> None:
    """Made by hand at the provider: it carries no settlement, but our payment."""
    by_hand = ProviderMovement("REFUND", "re_7", "SUCCEEDED", 500, EARLIER, payment="pi_1")
    (found,) = compared(BOOKED, [*MOVED, by_hand])
    assert (found.what, found.escrow_id, found.theirs_cents) == ("UNASKED", "e1", 500)


def test_a_movement_for_a_row_that_we_do_not_have_is_told_and_not_repaired() -> None:
    """The database was set back, or another one works on the same account."""
    stray = ProviderMovement("PAYMENT", "pi_7", "SUCCEEDED", 4000, EARLIER, "e-gone")
    (found,) = compared(BOOKED, [*MOVED, stray])
    assert (found.what, found.owner, found.repairable) == ("UNKNOWN", "e-gone", False)


def test_the_edges_of_the_window_do_not_invent_differences() -> None:
    """Too young to be booked, or booked before the window began."""
    young = ProviderMovement("PAYMENT", "pi_7", "SUCCEEDED", 4000, NOW, "e7")
    old = Booked("PAYMENT", "pi_0", 4000, SINCE - timedelta(seconds=1), "e0")
    booked_just_now = Booked("PAYMENT", "pi_6", 4000, NOW, "e6")
    assert compared([*BOOKED, old, booked_just_now], [*MOVED, young]) == []
    begun_before = ProviderMovement(
        "PAYMENT", "pi_5", "SUCCEEDED", 100, SINCE - timedelta(hours=5), "e5"
    )
    booked_inside = Booked("PAYMENT", "pi_5", 100, EARLIER, "e5")
    assert compared([*BOOKED, booked_inside], [*MOVED, begun_before]) == []


def _failed(index: int) -> list[ProviderMovement]:
    each = MOVED[index]
    failed = ProviderMovement(
        each.kind, each.reference, "FAILED", each.amount_cents, each.at,
        each.escrow_id, each.settlement_id, each.payment,
    )  # fmt: skip
    return [*MOVED[:index], failed, *MOVED[index + 1 :]]
