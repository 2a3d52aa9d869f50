"""REST calls that block one greenlet or thread, each measured under its own name."""

from __future__ import annotations

import re
import time
from typing import Any, Final, TypeVar

import httpx
import msgspec

from bench.load.users.meter import Meter

T = TypeVar("T")
TIMEOUT_S: Final = 15.0
LOST_RACES: Final = frozenset(
    {"HX001", "HX010", "HX011", "HX012", "HX014", "HX015", "HX016", "HX903"}
)
"""Refusals of somebody who came too late: what a crowd is told all the time, and no failure."""
_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class TooLate(Exception):
    """The service has refused, since the state had moved on."""


class Failed(Exception):
    """The service has refused or broken what should have worked; the meter knows already."""


class Rest:
    """The REST half of everybody: one pool of connections, a token for each call."""

    def __init__(self, base_url: str, meter: Meter) -> None:
        self._meter = meter
        # Plain HTTP: without `verify` no store of certificates is read.
        self._http = httpx.Client(
            base_url=base_url,
            timeout=TIMEOUT_S,
            trust_env=False,
            verify=False,  # noqa: S501  # loopback, without TLS
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
        )

    def request(
        self, token: str, method: str, path: str, answer: type[T], body: dict[str, Any] | None
    ) -> T:
        """Returns the answer, decoded; raises TooLate, or Failed after reporting why."""
        name = f"{method} {_ID.sub('…', path)}"
        began = time.monotonic()
        try:
            received = self._http.request(
                method, path, json=body, headers={"Authorization": f"Bearer {token}"}
            )
        except httpx.HTTPError as error:
            self._meter.failed(name, error, time.monotonic() - began)
            raise Failed(name) from error
        took_s = time.monotonic() - began
        if received.is_success:
            self._meter.measured(name, took_s)
            return msgspec.json.decode(received.content, type=answer)
        code = _code_of(received)
        if code in LOST_RACES:
            self._meter.measured(name, took_s)
            raise TooLate(code)
        failure = Failed(f"{received.status_code} {code}")
        self._meter.failed(name, failure, took_s)
        raise failure

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()


def _code_of(received: httpx.Response) -> str:
    try:
        return str(received.json().get("code", ""))
    except (ValueError, AttributeError):
        return ""
