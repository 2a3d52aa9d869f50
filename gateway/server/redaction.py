"""Takes secrets and positions out of log records: by their names, by their form, by their value.

Loggers are not to be given any; this is the net below, for the text of an error that quotes what it
was given. What stands in a traceback is treated like any other text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import structlog

from gateway.settings.groups import Settings
from gateway.settings.loading import Item, catalogue

REDACTED: Final = "[redacted]"
MIN_SECRET_CHARS: Final = 6
"""A shorter value is too common a text to look for."""

_NAMES: Final = re.compile(
    r"token|secret|passw|authorization|cookie|signature|credential|api_?key|code_key|(^|_)dsn$"
    r"|(start|completion)_code|(^|_)(lat|lng|lon|location|point)$",
    re.IGNORECASE,
)
"""Fields of a record whose value is never shown."""

_FORMS: Final = (
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{4,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # a JWT, whole or cut
    (re.compile(r"\beyJ[\w-]{6,}(?:\.[\w-]*){0,2}"), REDACTED),
    # the user and password of a URL
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s\"'/]*@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (
        re.compile(
            r"\b((?:\w+_)?(?:password|passwd|pwd|secret|token|api_?key)[\"']?\s*[=:]\s*)"
            r"(\"[^\"]*\"|'[^']*'|[^\s,;&)}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"\b(?:sk|rk|pk)_(?:live|test)_\w+|\bwhsec_\w+|\bpi_\w+_secret_\w+"), REDACTED),
    # what PostgreSQL quotes of a row
    (re.compile(r"(Failing row contains )\(.*\)"), rf"\1({REDACTED})"),
    (re.compile(r"(Key \([^)\n]*\)=)\([^\n]*?\)(?= )"), rf"\1({REDACTED})"),
    (
        re.compile(r"\b((?:lat|lng|lon)[\"']?\s*[=:]\s*)-?\d+(?:\.\d+)?", re.IGNORECASE),
        rf"\1{REDACTED}",
    ),
)
_PLAIN: Final = (bool, int, float, type(None))


class Redactor:
    """Processor of structlog; `secrets` are values of this process that no line may hold."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({s for s in secrets if len(s) >= MIN_SECRET_CHARS}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(
        self, _logger: Any, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """Redacts every value of a record; exceptions are to be text by then."""
        return {name: self._value(name, value) for name, value in event.items()}

    def text(self, text: str) -> str:
        """Returns a text without what looks like a secret or a position."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for form, instead in _FORMS:
            text = form.sub(instead, text)
        return text

    def _value(self, name: str, value: object) -> object:
        if _NAMES.search(name):
            return value if value is None or isinstance(value, bool) else REDACTED
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, Mapping):
            return {str(key): self._value(str(key), each) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(name, each) for each in value]
        return self.text(value if isinstance(value, str) else repr(value))


def secrets_of(settings: Settings) -> list[str]:
    """Returns the secret values of these settings, and the passwords within them."""
    secret = [item for item in catalogue(Settings) if item.secret]
    return [text for item in secret for text in _texts(item.value_in(settings))]


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Returns the same of an environment that may be wrong."""
    secret: list[Item] = [item for item in catalogue(Settings) if item.secret]
    return [text for item in secret for text in _texts(environ.get(item.name, ""))]


def _texts(value: object) -> Iterator[str]:
    """The secrets in a setting's value: a text, several, or issuers with keys of their own."""
    if isinstance(value, str):
        yield from _passwords(value) if "://" in value else (value, *value.split(","))
    elif isinstance(value, tuple):
        for each in value:
            yield from _texts(each if isinstance(each, str) else getattr(each, "key", None) or "")


def _passwords(text: str) -> Iterator[str]:
    """The passwords of a URL: before the host, and in its query string."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return
    found = [parts.password or "", *re.findall(r"(?:^|&)\w*password=([^&]*)", parts.query)]
    for password in found:
        yield password
        yield unquote(password)
