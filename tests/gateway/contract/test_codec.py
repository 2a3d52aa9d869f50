from __future__ import annotations

import contextlib
from typing import get_args
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel.errors import Refusal
from gateway.contract import codec, limits
from gateway.contract.client import ClientMessage

HERE = '{"lat":37.7,"lng":-122.4}'
ID = f'"{uuid4()}"'
GOOD = {
    "AUTH": '{"token":"x.y.z","last_seq":7}',
    "PING": None,
    "SUBSCRIBE_LIVE_MODE": f'{{"location":{HERE},"radius_miles":5,"categories":["moving"]}}',
    "UNSUBSCRIBE_LIVE_MODE": "{}",
    "UPDATE_LOCATION": f'{{"location":{HERE},"at":"2026-01-02T03:04:05Z"}}',
    "RESPOND_TO_BROADCAST": f'{{"broadcast_id":{ID},"response":"SKIP"}}',
    "SUBSCRIBE_TASK": f'{{"task_id":{ID}}}',
    "UNSUBSCRIBE_TASK": f'{{"task_id":{ID}}}',
    "ACK": '{"seq":3}',
    "SUBSCRIBE_CITY": None,
    "UNSUBSCRIBE_CITY": None,
}


def said(kind: str, data: str | None = None, ref: str = '"r1"') -> str:
    """A frame, its parts as JSON text."""
    return f'{{"type":"{kind}","id":{ref}' + (f',"data":{data}}}' if data else "}")


def moved(lat: str = "1", lng: str = "2", more: str = "") -> str:
    """UPDATE_LOCATION."""
    return said("UPDATE_LOCATION", f'{{"location":{{"lat":{lat},"lng":{lng}{more}}}}}')


def answered(more: str) -> str:
    """RESPOND_TO_BROADCAST."""
    return said("RESPOND_TO_BROADCAST", f'{{"broadcast_id":{ID},{more}}}')


def live(more: str) -> str:
    """SUBSCRIBE_LIVE_MODE."""
    return said("SUBSCRIBE_LIVE_MODE", f'{{"location":{HERE},{more}}}')


BAD = {
    "not JSON": "hello",
    "empty": "",
    "a list": "[]",
    "no type": '{"data":{}}',
    "unknown type": said("ACCEPT_TASK"),
    "type is a number": '{"type":1}',
    "unknown field": '{"type":"PING","ttl":1}',
    "unknown field in data": said("ACK", '{"seq":1,"x":1}'),
    "unknown field in location": moved(more=',"x":3'),
    "latitude out of range": moved(lat="90.01"),
    "longitude out of range": moved(lng="-181"),
    "NaN": moved(lat="NaN"),
    "infinity": moved(lat="1e400"),
    "30 digits in a position": moved(lat="1" * 30),
    "30 digits in a seq": said("ACK", f'{{"seq":{"9" * 30}}}'),
    "5000 digits": said("ACK", f'{{"seq":{"9" * 5000}}}'),
    "negative seq": said("ACK", '{"seq":-1}'),
    "a fraction as seq": said("ACK", '{"seq":1.5}'),
    "a text as seq": said("ACK", '{"seq":"1"}'),
    "30 digits as id": said("PING", ref="9" * 30),
    "long id": said("PING", ref=f'"{"x" * 65}"'),
    "id is an object": said("PING", ref="{}"),
    "deep nesting": said("PING", "[" * 100_000 + "]" * 100_000),
    "deep nesting in an unknown field": '{"type":"PING","x":' + '{"a":' * 50_000 + "}" * 50_001,
    "deep nesting before the type": '{"data":' + "[" * 100_000 + "]" * 100_000 + ',"type":"PING"}',
    "no zone": said("UPDATE_LOCATION", f'{{"location":{HERE},"at":"2026-01-02T03:04:05"}}'),
    "not a UUID": said("SUBSCRIBE_TASK", '{"task_id":"1"}'),
    "unknown response": answered('"response":"YES"'),
    "NUL in a text": answered('"response":"DECLINE","decline_reason":"a\\u0000b"'),
    "lone surrogate": said("PING", ref='"\\ud800"'),
    "radius too small": live('"radius_miles":0.5'),
    "too many categories": live('"categories":[' + ",".join(['"a"'] * 33) + "]"),
    "no location": said("SUBSCRIBE_LIVE_MODE", "{}"),
    "empty token": said("AUTH", '{"token":""}'),
    "null data where data is due": said("ACK", "null"),
}


def test_every_message_of_the_contract_is_understood() -> None:
    """The vocabulary is the contract's table, and each kind has a rate limit."""
    kinds = {kind.__struct_config__.tag for kind in get_args(ClientMessage)}
    assert kinds == GOOD.keys() == limits.RATE_OF.keys()
    for kind, data in GOOD.items():
        message = codec.parse(said(kind, data))
        assert type(message).__struct_config__.tag == kind
        assert message.id == "r1"


@pytest.mark.parametrize("frame", BAD.values(), ids=BAD.keys())
def test_what_is_outside_the_vocabulary_is_a_validation_error(frame: str) -> None:
    """Strict: unknown types and fields, bad numbers and absurd sizes are all one documented error."""
    with pytest.raises(Refusal) as refused:
        codec.parse(frame)
    assert refused.value.kind.code == "VALIDATION_ERROR"


@given(
    st.one_of(
        st.text(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "id", "data", "seq", "token", "location", "lat"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(lambda value: msgspec.json.encode(value).decode()),
    )
)
def test_no_text_breaks_the_parser(text: str) -> None:
    """Anything at all is either a message or a VALIDATION_ERROR, and its reference is readable."""
    with contextlib.suppress(Refusal):
        codec.parse(text)
    codec.reference_of(text)


def test_a_refused_message_still_gives_its_reference() -> None:
    """The ERROR can name the request even when its data was refused; absurd references are none."""
    assert codec.reference_of('{"type":"NOPE","id":"r9","data":[1]}') == "r9"
    assert codec.reference_of('{"type":"NOPE","id":17}') == 17
    assert codec.reference_of('{"id":' + "9" * 30 + "}") is None
    assert codec.reference_of("{") is None
    assert codec.reference_of('{"id":"a","x":' + "[" * 100_000) is None


def test_an_envelope_carries_only_what_it_has() -> None:
    """`id`, `seq` and `data` are absent where there is none."""
    assert codec.encode("PONG") == b'{"type":"PONG"}'
    pong = {"last_seq": 3}
    assert codec.encode("PONG", pong, ref="a") == b'{"type":"PONG","id":"a","data":{"last_seq":3}}'
