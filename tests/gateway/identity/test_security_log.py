"""The vocabulary of the security log, and its page."""

from __future__ import annotations

import inspect
import re
from uuid import uuid4

import structlog

from gateway.identity import security_log
from tests.support.paths import ROOT

EVENTS = [
    function
    for name, function in inspect.getmembers(security_log, inspect.isfunction)
    if function.__module__ == security_log.__name__
]
EXAMPLES = {"sockets": 2, "polls": 1, "user": uuid4(), "admin": uuid4()}


def test_the_page_names_every_event_with_its_fields() -> None:
    """docs/security.md, by event, level and fields; what each writes is what its parameters say."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    ours = []
    for function in EVENTS:
        fields = list(inspect.signature(function).parameters)
        with structlog.testing.capture_logs() as written:
            function(**{name: EXAMPLES.get(name, "x") for name in fields})
        (record,) = written
        assert record.pop("event") == function.__name__
        level = record.pop("log_level")
        assert set(record) == set(fields)
        meaning = (function.__doc__ or "").strip()
        ours.append((function.__name__, level, ", ".join(f"`{f}`" for f in fields), meaning))
    assert rows == ours
