"""A refused body names every place that is wrong, by JSON pointer and in plain words."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import errors
from gateway.contract import codec
from gateway.contract.client import ClientMessage
from gateway.http import decoding, proofs, tasks
from gateway.http.admin import disputes, people
from gateway.server.routes import ENDPOINTS
from tests.gateway.http.test_decoding import TASK

REGEX = re.compile(r"[\\^$]|\[\^|\(\?|`int`|`str`|regex|matching")


def refused(body: object, kind: type[msgspec.Struct] = tasks.TaskRequest) -> errors.Refusal:
    """The refusal of a body."""
    with pytest.raises(errors.Refusal) as caught:
        decoding.decode(json.dumps(body).encode(), kind)
    assert caught.value.kind.code == "VALIDATION_ERROR"
    return caught.value


def refusal_of(body: bytes, kind: type[msgspec.Struct]) -> errors.Refusal | None:
    """The refusal of a body, if it is refused."""
    try:
        decoding.decode(body, kind)
    except errors.Refusal as refusal:
        return refusal
    return None


def pointers(refusal: errors.Refusal) -> set[str]:
    """Where it finds fault."""
    assert all(field.detail and not REGEX.search(field.detail) for field in refusal.fields)
    return {field.pointer for field in refusal.fields}


def test_every_wrong_field_is_named_at_once() -> None:
    """Missing, unknown, too large, of another type, empty to the eye: one answer tells them all."""
    wrong = TASK | {
        "title": "\u200b",
        "price_cents": "40",
        "location": {"lat": 91, "at/home": 1},
        "mode": "INSTANT",
        "deadline": "tomorrow",
        "min_photos": 6,
        "live_confirmations": {"can_respond": 1, "price_final": True},
        "state": "COMPLETED",
    }
    del wrong["category"]
    refusal = refused(wrong)
    assert pointers(refusal) == {
        "/title",
        "/price_cents",
        "/location/lat",
        "/location/lng",
        "/location/at~1home",
        "/mode",
        "/deadline",
        "/min_photos",
        "/live_confirmations/can_respond",
        "/live_confirmations/accessible_now",
        "/state",
        "/category",
    }
    for pointer in pointers(refusal):
        assert f"`{pointer}`" in refusal.message


@pytest.mark.parametrize(
    ("kind", "body", "pointer"),
    [
        (tasks.TaskRequest, TASK | {"location": {"lat": 0, "lng": 0}}, "/location/lat"),
        (proofs.ProofRequest, {"photos": []}, "/photos"),
        (proofs.ProofRequest, {"photos": ["x"]}, "/photos/0"),
        (proofs.ProofRequest, {"code": "123456", "photos": []}, "/code"),
        (tasks.StartRequest, {"code": "123456\n"}, "/code"),
        (tasks.ChoiceRequest, {"choice": "INCREASE_PRICE"}, "/price_cents"),
        (disputes.Decision, {"outcome": "SPLIT", "reason": "Half."}, "/release_cents"),
        (people.LiveBan, {"until": "0001-01-01T00:00:00+14:00", "reason": "x"}, "/until"),
        (tasks.TaskRequest, [], ""),
        (tasks.TaskRequest, None, ""),
    ],
)
def test_fields_that_do_not_fit_together_are_named(
    kind: type[msgspec.Struct], body: object, pointer: str
) -> None:
    """Also what only the whole says, and the whole itself."""
    assert pointers(refused(body, kind)) == {pointer}


def test_a_query_string_is_an_object_of_its_parameters() -> None:
    """Each wrong parameter at once, one given twice too."""
    with pytest.raises(errors.Refusal) as wrong:
        decoding.decode_query([("role", "x"), ("limit", "0"), ("a", "b")], tasks.TasksQuery)
    assert pointers(wrong.value) == {"/role", "/limit", "/a"}
    with pytest.raises(errors.Refusal) as twice:
        decoding.decode_query([("role", "poster"), ("role", "poster")], tasks.TasksQuery)
    assert pointers(twice.value) == {"/role"}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"type": "UPDATE_LOCATION", "data": {"location": {"lat": 91}, "at": 5}},
         {"/data/location/lat", "/data/location/lng", "/data/at"}),
        ({"type": "UPDATE_LOCATION", "id": -1}, {"/id", "/data"}),
        ({"type": "FLY"}, {"/type"}),
        ({}, {"/type"}),
        ({"type": "PING", "ttl": 1, "data": {"x": 1}}, {"/ttl", "/data/x"}),
        ([], {""}),
    ],
)  # fmt: skip
def test_a_refused_message_names_its_places_too(frame: object, expected: set[str]) -> None:
    """Pointers start at the frame."""
    with pytest.raises(errors.Refusal) as caught:
        codec.parse(json.dumps(frame))
    assert pointers(caught.value) == expected


def test_a_flood_of_faults_is_told_in_part() -> None:
    """A body of thousands of unknown fields gets an answer of bounded size."""
    assert len(refused({f"x{n}": n for n in range(5_000)}).fields) == 50


@given(
    st.dictionaries(
        st.sampled_from([*TASK, "deadline", "photos", "reason", "until", "location", "lat"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["lat", "lng", "address"]), inner)
            ),
            max_leaves=5,
        ),
    )
)
def test_whatever_is_refused_names_a_place(value: dict[str, Any]) -> None:
    """The walk finds a fault wherever the decoder found one."""
    body = msgspec.json.encode(value)
    for kind in {call.body_type for call in ENDPOINTS}:
        refusal = refusal_of(body, kind)
        if refusal is not None:
            assert refusal.fields
            assert all(field.detail != "is not valid" for field in refusal.fields)


def test_what_fits_is_decoded_without_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The road of good requests does not pay for the bad ones."""
    monkeypatch.setattr("gateway.contract.field_errors.refusal", None)
    decoding.decode(json.dumps(TASK).encode(), tasks.TaskRequest)
    for kind in get_args(ClientMessage):
        if kind.__struct_config__.tag == "PING":
            codec.parse(json.dumps({"type": "PING"}))
