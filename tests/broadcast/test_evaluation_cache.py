"""Who is asked again, and who is not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broadcast.evaluation_cache import NEVER, EvaluationCache

people = st.binary(min_size=16, max_size=16)
eligibility = st.tuples(st.integers(1, 3), st.sampled_from([10.0, 40.0, NEVER]))
rounds = st.lists(st.dictionaries(people, eligibility, max_size=6), max_size=6)


def asked(evaluation_cache: EvaluationCache, hustler: bytes, generation: int, now_s: float) -> bool:
    """Whether one hustler would be asked."""
    mask = evaluation_cache.to_ask(
        np.array([hustler], "S16"), np.array([generation], np.int64), now_s
    )
    return bool(mask[0])


@given(rounds, people, st.integers(1, 3), st.sampled_from([0.0, 9.9, 10.0, 40.0, 1e9]))
def test_it_answers_as_a_dictionary_would(
    history: list[dict[bytes, tuple[int, float]]], stranger: bytes, generation: int, now_s: float
) -> None:
    """The sorted columns are a dictionary hustler → (generation, ask again at)."""
    evaluation_cache = EvaluationCache()
    known: dict[bytes, tuple[int, float]] = {}
    for results_of_round in history:
        known |= results_of_round
        evaluation_cache.record(
            np.array(list(results_of_round), "S16"),
            np.array([g for g, _ in results_of_round.values()], np.int64),
            np.array([at for _, at in results_of_round.values()], np.float64),
        )
    assert len(evaluation_cache) == len(known)
    for hustler in {*known, stranger}:
        evaluated_at, again_at = known.get(hustler, (generation, 0.0))
        changed = evaluated_at != generation and again_at != NEVER
        expected = changed or again_at <= now_s
        assert asked(evaluation_cache, hustler, generation, now_s) == expected


def test_a_final_result_survives_a_new_generation() -> None:
    """Offered is offered, whichever socket the hustler comes back with."""
    evaluation_cache = EvaluationCache()
    evaluation_cache.record(np.array([b"h" * 16]), np.array([1]), np.array([NEVER]))
    assert not asked(evaluation_cache, b"h" * 16, 2, 1e12)
