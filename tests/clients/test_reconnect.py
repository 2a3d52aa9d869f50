from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hustlexp_client.reconnect import LONGEST_DELAY_S, Step, after_close, delay_s


@given(st.sampled_from(Step), st.integers(0, 100_000), st.integers())
def test_no_delay_exceeds_the_cap(step: Step, failures: int, seed: int) -> None:
    """However long a service is away, everybody is back within a minute of its return."""
    assert 0 <= delay_s(step, failures, Random(seed)) <= LONGEST_DELAY_S


def test_delays_of_a_crowd_spread_over_the_whole_span() -> None:
    """Full jitter: in every tenth of the span some client comes back."""
    rng = Random(3)
    tenths = {int(delay_s(Step.BACK_OFF, 7, rng) / 6) for _ in range(400)}
    assert tenths == set(range(10))


def test_the_range_of_a_close_code_says_what_to_do() -> None:
    """The contract's table, its borders, and codes it does not know."""
    steps = {code: after_close(code) for code in (4000, 4099, 4100, 4199, 4200, 4299, 4300, 4399)}
    assert list(steps.values()) == [
        *(Step.AT_ONCE, Step.AT_ONCE),
        *(Step.FRESH_AUTH, Step.FRESH_AUTH),
        *(Step.WAIT, Step.WAIT),
        *(Step.STOP, Step.STOP),
    ]
    assert {after_close(code) for code in (1001, 1006, 1011, 1012, 4400)} == {Step.BACK_OFF}


def test_waiting_never_takes_less_than_a_second() -> None:
    """4200 to 4299 ask to wait first."""
    rng = Random(5)
    assert min(delay_s(Step.WAIT, 0, rng) for _ in range(500)) >= 1.0
