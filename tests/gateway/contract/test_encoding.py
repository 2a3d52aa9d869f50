"""One form of times, by the names of the fields; what people write stays what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from gateway.contract import encoding
from gateway.contract.server import SERVER_MESSAGES
from gateway.server.routes import ENDPOINTS

FULL = datetime(2030, 1, 31, 18, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "received"),
    [
        (FULL, "2030-01-31T18:30:00.000000Z"),
        (FULL.replace(microsecond=1), "2030-01-31T18:30:00.000001Z"),
        (FULL.replace(microsecond=500_000), "2030-01-31T18:30:00.500000Z"),
        (FULL.astimezone(timezone(timedelta(hours=-7))), "2030-01-31T18:30:00.000000Z"),
        (
            FULL.replace(microsecond=7).astimezone(timezone(timedelta(hours=5, minutes=45))),
            "2030-01-31T18:30:00.000007Z",
        ),
        (datetime(99, 1, 1, tzinfo=UTC), "0099-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_is_told_in_utc_to_the_microsecond(at: datetime, received: str) -> None:
    """On the full second and in whatever zone it was."""
    assert encoding.encode({"at": at, "text": "x"}) == f'{{"at":"{received}","text":"x"}}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-31T18:30:00Z",
        "2030-01-31T18:30:00+00:00",
        '"deadline":"2030-01-31T18:30:00Z"',
        'x","deadline":"2030-01-31T18:30:00Z',
        '\\","at":"2030-01-31T18:30:00Z"',
    ],
)
def test_what_people_write_is_no_time(text: str) -> None:
    """Not even where it looks like a field."""
    value = {"title": text, "at": FULL, "texts": [text]}
    received = msgspec.json.decode(encoding.encode(value))
    assert received == {"title": text, "at": "2030-01-31T18:30:00.000000Z", "texts": [text]}


def fields(info: inspect.Type) -> Iterator[tuple[str, inspect.Type]]:
    """Every field of a type and of those inside it, with each member of its type."""
    for kind in _members(info):
        if isinstance(kind, inspect.StructType):
            for field in kind.fields:
                for member in _members(field.type):
                    yield field.encode_name, member
                yield from fields(field.type)
        elif isinstance(kind, inspect.CollectionType):
            yield "[]", kind.item_type
            yield from fields(kind.item_type)


def _members(info: inspect.Type) -> tuple[inspect.Type, ...]:
    info = info.type if isinstance(info, inspect.Metadata) else info
    return info.types if isinstance(info, inspect.UnionType) else (info,)


def test_names_tell_times_from_texts() -> None:
    """Each time that is told has a name of a time, and nothing else in words has."""
    kinds: list[Any] = [*SERVER_MESSAGES.values()]
    kinds += [kind for call in ENDPOINTS for kind in call.answer_types]
    received = [each for info in inspect.multi_type_info(kinds) for each in fields(info)]
    times = {name for name, kind in received if isinstance(kind, inspect.DateTimeType)}
    texts = {
        name for name, kind in received if isinstance(kind, (inspect.StrType, inspect.AnyType))
    }
    assert {"updated_at", "deadline", "since", "timestamp", "server_time"} <= times
    assert {name for name in times if not re.fullmatch(encoding.TIME_NAME, name)} == set()
    assert {name for name in texts if re.fullmatch(encoding.TIME_NAME, name)} == set()
