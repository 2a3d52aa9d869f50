"""What a log says of a failure, and what it keeps to itself."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from gateway.server.logs import configure_logs
from gateway.settings.groups import LogSettings


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_names_the_lines_and_not_what_they_hold(form: str) -> None:
    """A frame's locals are passwords and positions of people, and take half a second to print."""
    out = io.StringIO()
    configure_logs(LogSettings(level="info", form=form), out)

    def connect(password: str) -> None:
        raise ConnectionError(f"no answer to {len(password)} letters")

    try:
        connect("sesame")
    except ConnectionError:
        structlog.get_logger("test").exception("away")
    said = out.getvalue()
    assert "away" in said
    assert "no answer to 6 letters" in said
    assert 'connect("sesame")' in said.replace(
        '\\"', '"'
    )  # the line itself, as it stands in the file
    assert said.count("sesame") == 1
