"""Checks a webhook's signature by Stripe over the raw body (scheme `v1`).

The header reads `t=<unix time>,v1=<hex>[,v1=<hex>…]`; each `v1` is HMAC-SHA256 of
`<unix time>.<body>` under one signing secret. While a secret is rotated, several are good.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final

TOLERANCE_S: Final = 300
"""An older signature may be a replay; one from the future is no better."""
MAX_HEADER_CHARS: Final = 4096
_UNIX_TIME = re.compile(r"[0-9]{1,12}")


class BadSignature(Exception):
    """The signature is not Stripe's for this body, or is out of its time window."""


def check(body: bytes, header: str, secrets: Sequence[str], now: float) -> None:
    """Raises BadSignature unless one of the secrets signed this body within 5 minutes of `now`.

    `now` in seconds since 1970. Signatures are compared in constant time.
    """
    at, signatures = _parsed(header)
    if abs(now - at) > TOLERANCE_S:
        raise BadSignature("The signature is too old.")
    signed = b"%d." % at + body
    expected = [hmac.digest(secret.encode(), signed, "sha256").hex() for secret in secrets]
    fits = [
        hmac.compare_digest(one.encode(), given.encode())
        for one in expected
        for given in signatures
    ]
    if not any(fits):
        raise BadSignature("The signature does not fit the body.")


def _parsed(header: str) -> tuple[int, list[str]]:
    pairs = [part.strip().partition("=") for part in header[:MAX_HEADER_CHARS].split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not _UNIX_TIME.fullmatch(times[0]) or not signatures:
        raise BadSignature("The signature header cannot be read.")
    return int(times[0]), signatures
