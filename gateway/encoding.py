"""Every JSON text that leaves the service: one form for times, one for numbers.

Times are RFC 3339 in UTC with `Z`, always to the microsecond. A field of type float has a point
(`3.0`), one of type int has none: the types of the messages decide, not where a value came from, so
what the event log holds as JSON goes through its type before it is told (`gateway.ws.messages`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

_encoder: Final = msgspec.json.Encoder()
_FULL_SECOND: Final = re.compile(rb'T\d\d:\d\d:\d\dZ"')
"""How msgspec ends a time without microseconds; a text of people may look like it."""
_OFFSET: Final = re.compile(rb'T\d\d:\d\d:\d\d(?:\.\d{6})?[+-]\d\d:\d\d"')


def encode(value: object) -> bytes:
    """The value as JSON in UTF-8.

    >>> encode({"at": datetime(2030, 1, 31, 18, 30, tzinfo=UTC)})
    b'{"at":"2030-01-31T18:30:00.000000Z"}'
    """
    text = _encoder.encode(value)
    if _FULL_SECOND.search(text) is None and _OFFSET.search(text) is None:
        return text
    return _encoder.encode(_plain(msgspec.to_builtins(value, builtin_types=(datetime,))))


def time_text(at: datetime) -> str:
    """An aware time as the wire has it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z".zfill(27)


def _plain(value: Any) -> Any:
    """The same with every time as text."""
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
