"""Who calls too often is told when to return, and nobody else is."""

from __future__ import annotations

from typing import Any

import pytest

from engine.kernel import errors
from gateway.identity.rates import ACCEPT, BAD_TOKEN, EVERY_CALL, Rates


def test_a_user_who_calls_too_often_is_told_when_to_return(users: tuple[Any, Any]) -> None:
    """The bucket empties for one user alone, and fills again with time."""
    now, (ann, bob) = [0.0], users
    rates = Rates(lambda: now[0])
    for _ in range(int(EVERY_CALL.burst)):
        rates.spend_user(ann, None)
    with pytest.raises(errors.Refusal) as caught:
        rates.spend_user(ann, None)
    assert caught.value.kind.code == "RATE_LIMITED"
    assert caught.value.retry_after_s == pytest.approx(1 / EVERY_CALL.per_second)
    rates.spend_user(bob, None)
    now[0] = 1.0
    rates.spend_user(ann, None)


def test_a_braked_call_has_its_own_bucket(users: tuple[Any, Any]) -> None:
    """Too many accepts do not stop the other calls."""
    rates, (ann, _) = Rates(lambda: 0.0), users
    for _ in range(int(ACCEPT.burst)):
        rates.spend_user(ann, ACCEPT)
    with pytest.raises(errors.Refusal):
        rates.spend_user(ann, ACCEPT)
    rates.spend_user(ann, None)


def test_an_address_that_guesses_tokens_is_slowed_down() -> None:
    """After too many bad tokens an address is told to wait; another one is not."""
    now = [0.0]
    rates = Rates(lambda: now[0])
    for _ in range(int(BAD_TOKEN.burst)):
        rates.spend_address("192.0.2.1")
    with pytest.raises(errors.Refusal) as caught:
        rates.spend_address("192.0.2.1")
    assert caught.value.kind.code == "RATE_LIMITED"
    rates.spend_address("192.0.2.2")
    now[0] = 1.0
    rates.spend_address("192.0.2.1")


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch, users: tuple[Any, Any]) -> None:
    """Forgetting the longest unused bucket keeps memory flat."""
    monkeypatch.setattr("gateway.identity.rates.MAX_BUCKETS", 1)
    rates = Rates(lambda: 0.0)
    for user in (*users, users[0]):
        rates.spend_user(user, None)
    assert len(rates._buckets) == 1
