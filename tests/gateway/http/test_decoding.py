"""Whatever is sent, the border gives a typed value or a documented refusal."""

from __future__ import annotations

import contextlib
import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import errors
from gateway.contract.client import ClientMessage, GoLive, LocationUpdate
from gateway.contract.problems import Unreadable
from gateway.http import decoding, events, tasks
from gateway.server.routes import ENDPOINTS

TASK: dict[str, Any] = {
    "mode": "LIVE",
    "title": "Move a sofa",
    "description": "From the second floor to the street.",
    "category": "moving",
    "price_cents": 4_000,
    "location": {"lat": 37.77, "lng": -122.42},
}
DIGITS = 10**29


def refused(body: bytes, kind: type[msgspec.Struct] = tasks.TaskRequest) -> errors.Refusal:
    """The refusal that decoding this body gives."""
    with pytest.raises(errors.Refusal) as caught:
        decoding.decode(body, kind)
    return caught.value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b'{"price_cents": NaN}',
        b'{"price_cents": Infinity}',
        b'{"title": "\xff"}',
        b'{"title": "\\ud800"}',
        b'{"mode": "LIVE",}',
    ],
)
def test_what_is_not_json_is_a_400(body: bytes) -> None:
    """VALIDATION_ERROR with status 400."""
    refusal = refused(body)
    assert isinstance(refusal, Unreadable)
    assert (refusal.kind.code, refusal.status) == ("VALIDATION_ERROR", 400)


@pytest.mark.parametrize(
    "change",
    [
        {"price_cents": DIGITS},
        {"price_cents": -1},
        {"price_cents": 0},
        {"price_cents": 40.5},
        {"price_cents": "4000"},
        {"price_cents": True},
        {"price_cents": None},
        {"location": {"lat": 91, "lng": 0}},
        {"location": {"lat": 0, "lng": 0}},
        {"title": " \t "},
        {"location": {"lat": 0, "lng": -180.01}},
        {"location": {"lat": DIGITS, "lng": 0}},
        {"location": {"lat": "37", "lng": 0}},
        {"location": {"lat": 37}},
        {"location": [37, -122]},
        {"location": {"lat": 37, "lng": -122, "place": "here"}},
        {"title": ""},
        {"title": "x" * 201},
        {"title": "a\0b"},
        {"description": "x" * 5_001},
        {"category": "a\nb"},
        {"mode": "INSTANT"},
        {"state": "COMPLETED"},
        {"poster_id": "5d0a1e1c-7b1f-4f0f-9a52-d0c53a0f3c11"},
        {"deadline": "tomorrow"},
        {"deadline": "2030-01-01T00:00:00"},
        {"deadline": 1_800_000_000},
        {"estimated_minutes": 10_081},
        {"min_photos": 6},
        {"required_trust_tier": 5},
        {"live_confirmations": {"can_respond": True}},
        {"live_confirmations": {"can_respond": 1, "accessible_now": 1, "price_final": 1}},
    ],
    ids=str,
)
def test_a_wrong_field_is_a_422(change: dict[str, Any]) -> None:
    """Wrong types, sizes, ranges and unknown fields; the detail names the place."""
    refusal = refused(json.dumps(TASK | change).encode())
    assert not isinstance(refusal, Unreadable)
    assert refusal.kind.code == "VALIDATION_ERROR"
    assert "`" in refusal.message


@pytest.mark.parametrize("field", sorted(TASK.keys() - {"mode"}))
def test_each_needed_field_is_needed(field: str) -> None:
    """Leaving one out is refused by name."""
    without = {name: value for name, value in TASK.items() if name != field}
    assert field in refused(json.dumps(without).encode()).message


@pytest.mark.parametrize("shape", [b"[" * 50_000, b'{"location":' * 20_000, b'{"title":' * 20_000])
def test_deep_nesting_is_refused(shape: bytes) -> None:
    """A body of nothing but brackets costs neither the stack nor the time."""
    assert refused(shape).kind.code == "VALIDATION_ERROR"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    )
)
def test_any_json_is_decoded_or_refused(value: object) -> None:
    """No value whatever gets an exception that is not a refusal out of any body type."""
    body = json.dumps(value).encode()
    for kind in {call.body_type for call in ENDPOINTS}:
        with contextlib.suppress(errors.Refusal):
            decoding.decode(body, kind)


def _unbounded(schema: Any, path: str) -> list[str]:
    """Every number or text of a schema that has no upper bound."""
    if isinstance(schema, list):
        return [found for each in schema for found in _unbounded(each, path)]
    if not isinstance(schema, dict):
        return []
    open_ends = []
    kind = schema.get("type")
    if kind in ("integer", "number") and not {"minimum", "maximum"} <= set(schema):
        open_ends.append(path)
    bounded = {"maxLength", "pattern", "format", "enum", "const"} & set(schema)
    if kind == "string" and not bounded:
        open_ends.append(path)
    if kind == "array" and "maxItems" not in schema:
        open_ends.append(path)
    for name, inner in schema.items():
        if name == "properties":
            for field, each in inner.items():
                open_ends += _unbounded(each, f"{path}.{field}")
        elif name in ("anyOf", "items", "$defs"):
            open_ends += _unbounded(list(inner.values()) if name == "$defs" else inner, path)
    return open_ends


@pytest.mark.parametrize(
    "kind",
    sorted({k for c in ENDPOINTS for k in (c.body_type, c.query_type)}, key=str),
)
def test_every_field_that_comes_in_is_bounded_and_closed(kind: type[msgspec.Struct]) -> None:
    """Each number has both bounds, each text and list an upper one, no type takes unknown fields."""
    schema = msgspec.json.schema(kind)
    assert _unbounded(schema, kind.__name__) == []
    assert all(shape["additionalProperties"] is False for shape in schema["$defs"].values())


@pytest.mark.parametrize(
    "pairs",
    [
        [("role", "poster"), ("role", "hustler")],
        [("role", "admin")],
        [("role", "poster"), ("limit", "51")],
        [("role", "poster"), ("limit", "0")],
        [("role", "poster"), ("limit", str(DIGITS))],
        [("role", "poster"), ("offset", "1")],
        [("role", "poster"), ("cursor", "../../etc")],
        [],
    ],
)
def test_a_bad_query_string_is_refused(pairs: list[tuple[str, str]]) -> None:
    """Twice, unknown, missing or out of bounds: VALIDATION_ERROR."""
    with pytest.raises(errors.Refusal) as caught:
        decoding.decode_query(pairs, tasks.TasksQuery)
    assert caught.value.kind.code == "VALIDATION_ERROR"


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "25.1", "1e400", "x"])
def test_a_wait_is_a_number_of_seconds_up_to_25(wait: str) -> None:
    """NaN and infinity are no waits."""
    with pytest.raises(errors.Refusal):
        decoding.decode_query([("wait", wait)], events.EventsQuery)


def test_rest_and_socket_take_the_same_shapes() -> None:
    """Going LIVE and moving are one type for both channels."""
    bodies = {call.body_type for call in ENDPOINTS}
    socket = {
        {field.name: field.type for field in msgspec.structs.fields(kind)}["data"]
        for kind in get_args(ClientMessage)
    }
    assert {GoLive, LocationUpdate} <= bodies & socket
