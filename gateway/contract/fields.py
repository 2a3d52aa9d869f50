"""The types of single fields that clients send: texts, times, numbers, each with its bounds.

Every text of people is one of the types here: something in it can be seen, and nothing in it steers
the text around it. `description` completes the sentence "must be …" of a refusal and of OpenAPI.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta

MAX_SEQ: Final = 2**53 - 1
"""Numbers stay exact in every client's JSON."""
MAX_PRICE_CENTS: Final = 10_000_000
MAX_PAGE: Final = 50
MAX_PHOTOS: Final = 5
"""Photos of one proof (product_spec §6.2), and of one piece of evidence."""

BIDI: Final = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
"""Unicode's Bidi_Control: what makes a text read otherwise than it is written."""
CONTROL: Final = rf"\x00-\x1f\x7f-\x9f\u2028\u2029\u206a-\u206f\ufff9-\ufffb\ufffe\uffff{BIDI}"
"""No text of one line holds these."""
CONTROL_BESIDE_LINES: Final = CONTROL.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f")
"""As CONTROL, without tab and new line."""
INVISIBLE: Final = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    r"\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
"""White space, fillers, Default_Ignorable_Code_Point, and marks that need a letter to stand on."""

_SEEN: Final = rf"(?=[\s\S]*[^{INVISIBLE}])"
_END: Final = r"(?![\s\S])"
VISIBLE_LINE: Final = rf"^{_SEEN}[^{CONTROL}]*{_END}"
VISIBLE_LINES: Final = rf"^{_SEEN}(?:[^{CONTROL_BESIDE_LINES}]|\r\n)*{_END}"
VISIBLE_LINE_OR_NONE: Final = rf"^(?:{_END}|{VISIBLE_LINE[1:]})"


def _line(max_chars: int) -> Meta:
    return Meta(
        min_length=1,
        max_length=max_chars,
        pattern=VISIBLE_LINE,
        description=f"a line of at most {max_chars:,} characters, one of them visible, "
        "without control and direction characters",
    )


def _optional_line(max_chars: int) -> Meta:
    return Meta(
        max_length=max_chars,
        pattern=VISIBLE_LINE_OR_NONE,
        description=f"empty, or a line of at most {max_chars:,} characters, one of them visible, "
        "without control and direction characters",
    )


def _lines(max_chars: int) -> Meta:
    return Meta(
        min_length=1,
        max_length=max_chars,
        pattern=VISIBLE_LINES,
        description=f"a text of at most {max_chars:,} characters, one of them visible, without "
        "control and direction characters other than tab and new line",
    )


Title = Annotated[str, _line(200)]
Category = Annotated[str, _line(40)]
Address = Annotated[str, _optional_line(300)]
Reason = Annotated[str, _optional_line(200)]
Description = Annotated[str, _lines(5_000)]
Text = Annotated[str, _lines(2_000)]

Instant = Annotated[
    datetime,
    Meta(tz=True, description="a time with its offset (RFC 3339), as 2030-01-31T18:30:00Z"),
]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
AccuracyM = Annotated[float, Meta(ge=0, le=100_000)]
RadiusMiles = Annotated[float, Meta(ge=1, le=25)]
Seq = Annotated[int, Meta(ge=0, le=MAX_SEQ)]
Version = Annotated[int, Meta(ge=1, le=2_147_483_647)]
Cents = Annotated[int, Meta(ge=1, le=MAX_PRICE_CENTS)]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Code = Annotated[str, Meta(pattern=r"^[0-9]{6}(?![\s\S])", description="six digits")]
TimeZone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_+/-]+(?![\s\S])",
        description="the IANA name of a time zone, as America/Los_Angeles",
    ),
]
Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=400,
        pattern=r"^[A-Za-z0-9_=.-]+(?![\s\S])",
        description="the `next_cursor` of a page",
    ),
]
Token = Annotated[str, Meta(min_length=1, max_length=8_192)]
Uploads = Annotated[list[UUID], Meta(max_length=MAX_PHOTOS)]
OfferResponse = Literal["ACCEPT", "DECLINE", "SKIP"]


class FieldRefused(ValueError):
    """A field that does not go with the others: raised by a type's `__post_init__`."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail


def in_utc(name: str, at: datetime) -> datetime:
    """The same instant in UTC; FieldRefused when that lies outside of the years 1 to 9999."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise FieldRefused(name, "must lie in the years 1 to 9999 in UTC") from None
