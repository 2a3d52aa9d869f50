"""The terms of a task that only together are right or wrong."""

from __future__ import annotations

import json

import pytest

from engine.kernel import errors
from gateway.http import decoding, tasks
from tests.gateway.http.test_decoding import TASK


def test_live_below_fifteen_dollars_is_refused_early() -> None:
    """$14.99 is HX902, with what else is wrong; $15.00 is not."""
    said = {"can_respond": False, "accessible_now": True, "price_final": True}
    cheap = decoding.decode(
        json.dumps(TASK | {"price_cents": 1_499, "live_confirmations": said}).encode(),
        tasks.TaskRequest,
    )
    with pytest.raises(errors.Refusal) as caught:
        tasks.check_terms(cheap)
    assert (caught.value.kind.code, caught.value.kind.invariant) == ("HX902", "LIVE-2")
    assert [field.pointer for field in caught.value.fields] == [
        "/price_cents",
        "/live_confirmations/can_respond",
    ]
    tasks.check_terms(
        decoding.decode(json.dumps(TASK | {"price_cents": 1_500}).encode(), tasks.TaskRequest)
    )


@pytest.mark.parametrize("field", ["can_respond", "accessible_now", "price_final"])
@pytest.mark.parametrize("mode", ["LIVE", "STANDARD"])
def test_any_false_confirmation_refuses_live(field: str, mode: str) -> None:
    """One `false` is enough for LIVE; STANDARD asks for none."""
    said = {"can_respond": True, "accessible_now": True, "price_final": True} | {field: False}
    body = json.dumps(TASK | {"mode": mode, "live_confirmations": said}).encode()
    task = decoding.decode(body, tasks.TaskRequest)
    if mode == "STANDARD":
        tasks.check_terms(task)
        return
    with pytest.raises(errors.Refusal) as caught:
        tasks.check_terms(task)
    assert caught.value.kind.code == "VALIDATION_ERROR"
    assert "live_confirmations" in caught.value.message
