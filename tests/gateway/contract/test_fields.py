"""Texts of people: what shows nothing, or steers the text around it, is none; all writing passes."""

from __future__ import annotations

import re
import unicodedata

import pytest
from msgspec import json

from gateway.contract import asyncapi, fields
from gateway.http.docs import openapi
from gateway.server.routes import ENDPOINTS
from tests.support.market import Market, open_market

STEERING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSEEN = [
    "",
    " ",
    "\u00a0",
    "\u200b\u200d\u2060\ufeff",
    "\u3164",
    "\u115f\u1160",
    "\uffa0",
    "\u2800",
    "\u00ad",
    "\u180e",
    "\u034f",
    "\ufe0f",
    "\u0301",
    "\U000e0041\U000e007f",
    "\U000e0100",
    "\U0001d173",
]
SEEN = [
    "a",
    "7",
    "-",
    "Zoë O’Neill",
    "\u0645\u0631\u062d\u0628\u0627",
    "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
    "\u0939\u093f\u0928\u094d\u0926\u0940",
    "\u6c99\u53d1",
    "\U0001f469\u200d\U0001f527",
    "\u2764\ufe0f",
    "1\ufe0f\u20e3",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "e\u0301",
]


@pytest.mark.parametrize("pattern", [fields.VISIBLE_LINE, fields.VISIBLE_LINES])
def test_something_of_a_text_is_visible(pattern: str) -> None:
    """White space, fillers, joiners, marks and tags alone are nothing; one letter is enough."""
    for text in UNSEEN:
        assert not re.search(pattern, text), ascii(text)
    for text in SEEN:
        assert re.search(pattern, text), ascii(text)
        assert re.search(pattern, f" {text}"), ascii(text)


def test_no_text_steers_what_stands_around_it() -> None:
    """Control and direction characters are refused wherever they stand, lines in long texts not."""
    controls = [
        chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Cc", "Zl", "Zp")
    ]
    for mark in (*STEERING, *controls):
        for text in (f"{mark}ab", f"a{mark}b", f"ab{mark}"):
            assert not re.search(fields.VISIBLE_LINE, text), ascii(text)
            allowed = mark in "\t\n"
            assert bool(re.search(fields.VISIBLE_LINES, text)) == allowed, ascii(text)
    assert re.search(fields.VISIBLE_LINES, "a\r\nb")
    assert not re.search(fields.VISIBLE_LINES, "a\rb")


def test_a_line_that_may_be_left_out_may_be_empty() -> None:
    """Nothing is nothing said; a blank is not."""
    assert re.search(fields.VISIBLE_LINE_OR_NONE, "")
    assert re.search(fields.VISIBLE_LINE_OR_NONE, "Gate 4")
    for text in (" ", "\n", "\u200b", "a\u202eb"):
        assert not re.search(fields.VISIBLE_LINE_OR_NONE, text)


async def test_the_database_sees_what_the_border_sees(database_dsn: str, owner_dsn: str) -> None:
    """visible_text and the pattern agree on every character, alone and behind a letter."""
    planes = (
        range(1, 0xD800),
        range(0xE000, 0x10000),
        range(0x1B000, 0x20000),
        range(0xE0000, 0xE1000),
    )
    codes = [code for plane in planes for code in plane]
    async with open_market(database_dsn, owner_dsn) as market:
        for before in ("", "a"):
            refused = await _refused(market, codes, before)
            expected = {c for c in codes if not re.search(fields.VISIBLE_LINES, before + chr(c))}
            assert refused == expected


async def _refused(market: Market, codes: list[int], before: str) -> set[int]:
    rows = await market.app.fetch(
        "select c from unnest($1::int[]) as c where not visible_text($2 || chr(c))", codes, before
    )
    return {row["c"] for row in rows}


def test_patterns_are_told_as_every_reader_of_json_schema_knows_them() -> None:
    """ECMA-262 knows fewer escapes than Python does."""
    document = asyncapi.document("1") | {"openapi": openapi.document(ENDPOINTS, "1")}
    patterns = set(re.findall(r'"pattern":"((?:[^"\\\\]|\\\\.)*)"', json.encode(document).decode()))
    assert len(patterns) > 5
    for pattern in patterns:
        assert not re.search(r"\\\\[UZA]", pattern), pattern
