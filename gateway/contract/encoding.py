"""Every JSON text that leaves the service: one form for times, one for numbers.

Times are RFC 3339 in UTC with `Z`, always to the microsecond. A field of type float has a point
(`3.0`), one of type int has none: the types of the messages decide, not where a value came from, so
what the event log holds as JSON goes through its type before it is told (`codec.logged`).

msgspec leaves the fraction out where a time falls on a full second, and keeps an offset; both are
put right in the text, by the names of our fields. Inside of a text its quotes are escaped, so
nothing that people write can look like a field.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

TIME_NAME: Final = r"(?:[a-z_]*(?:at|deadline|until)|since|timestamp|server_time)"
"""The names of fields that are times, in every message and answer; no text has such a name."""

_encoder: Final = msgspec.json.Encoder()
_FULL_SECOND: Final = re.compile(rb'T\d\d:\d\d:\d\dZ"')
_OFFSET: Final = rb"T\d\d:\d\d:\d\d(?:\.\d{1,6})?[+-]\d\d:\d\d"
_OTHER_FORM: Final = re.compile(rb'T\d\d:\d\d:\d\d(?:Z|(?:\.\d{1,6})?[+-]\d\d:\d\d)"')
_NAME: Final = re.compile(TIME_NAME.encode())
_FIELD_WITH_OFFSET: Final = re.compile(rb'(?<=":")\d{4}-\d\d-\d\d' + _OFFSET + rb'(?=")')


def encode(value: object) -> bytes:
    """The value as JSON in UTF-8.

    >>> encode({"at": datetime(2030, 1, 31, 18, 30, tzinfo=UTC)})
    b'{"at":"2030-01-31T18:30:00.000000Z"}'
    """
    text = _encoder.encode(value)
    if _OTHER_FORM.search(text) is None:
        return text
    return _FIELD_WITH_OFFSET.sub(_in_utc, _FULL_SECOND.sub(_with_fraction, text))


def number(value: float) -> bytes:
    """The number as it stands inside of such a text.

    >>> number(3.0)
    b'3.0'
    """
    return _encoder.encode(value)


def _with_fraction(clock: re.Match[bytes]) -> bytes:
    date_at = clock.start() - len("2030-01-31")
    return clock[0][:-2] + b'.000000Z"' if _is_time(clock.string, date_at) else clock[0]


def _in_utc(time: re.Match[bytes]) -> bytes:
    if not _is_time(time.string, time.start()):
        return time[0]
    at = datetime.fromisoformat(time[0].decode()).astimezone(UTC)
    return f"{at.isoformat(timespec='microseconds')[:-6]}Z".encode()


def _is_time(text: bytes, value_at: int) -> bool:
    """Whether the string whose first character stands there is a field with the name of a time."""
    name_to = value_at - len('":"')
    if text[name_to:value_at] != b'":"':
        return False
    return _NAME.fullmatch(text, text.rfind(b'"', 0, name_to) + 1, name_to) is not None
