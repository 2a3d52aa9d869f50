"""Parsers from a setting's text to its value; each raises ValueError with what it expects."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from urllib.parse import urlsplit


def whole(low: int, high: int) -> Callable[[str], int]:
    """Returns a parser of whole numbers within these bounds."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return parse


def number(low: float, high: float) -> Callable[[str], float]:
    """Returns a parser of finite numbers within these bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and low <= value <= high):
            raise ValueError(f"a number from {low:g} to {high:g}")
        return value

    return parse


def choice(*words: str) -> Callable[[str], str]:
    """Returns a parser that accepts one of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return parse


def yes_no(text: str) -> bool:
    """Parses a truth value: true, yes or 1; false, no or 0."""
    words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in words:
        raise ValueError("true or false")
    return words[text.lower()]


def url(*schemes: str) -> Callable[[str], str]:
    """Returns a parser of URLs with one of these schemes."""

    def parse(text: str) -> str:
        if not text.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"a URL that begins with {' or '.join(f'{s}://' for s in schemes)}")
        parts = urlsplit(text)
        if "," not in parts.netloc:  # PostgreSQL's may name several hosts, each with its port
            _ = parts.port
        return text

    return parse


def photos_url(text: str) -> str:
    """Parses the URL of a folder (file) or of a bucket with an optional prefix (s3)."""
    parts = urlsplit(url("file", "s3")(text))
    if parts.query or parts.fragment:
        raise ValueError("a URL without ? and #")
    if parts.scheme == "file" and (parts.netloc or not parts.path.strip("/")):
        raise ValueError("file:/// and the path of a folder")
    if parts.scheme == "s3" and not parts.netloc:
        raise ValueError("s3://bucket or s3://bucket/prefix")
    return text


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_~.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORT = re.compile(r"(?<=^http)(://.*):80$|(?<=^https)(://.*):443$")


def origins(text: str) -> tuple[str, ...]:
    """Parses comma-separated origins of web and hybrid apps, as browsers send them."""
    words = [word.strip().rstrip("/").lower() for word in text.split(",") if word.strip()]
    if not all(_ORIGIN.fullmatch(word) for word in words):
        raise ValueError(
            "a comma-separated list like https://app.example.com,capacitor://localhost"
        )
    # Browsers leave a default port out.
    return tuple(_DEFAULT_PORT.sub(r"\1\2", word) for word in words)


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Parses comma-separated IP addresses and networks."""
    try:
        return tuple(ipaddress.ip_network(word.strip()) for word in text.split(",") if word.strip())
    except ValueError:
        raise ValueError("a comma-separated list like 10.0.0.7,192.168.0.0/24") from None


def secret_key(text: str) -> str:
    """Parses a secret that is long enough to derive keys from."""
    if len(text.encode()) < 32:
        raise ValueError("a secret of at least 32 bytes")
    return text


def webhook_secrets(text: str) -> tuple[str, ...]:
    """Parses comma-separated signing secrets of a webhook endpoint."""
    secrets = tuple(word.strip() for word in text.split(",") if word.strip())
    if not all(secret.startswith("whsec_") for secret in secrets):
        raise ValueError("a comma-separated list of secrets like whsec_…")
    return secrets


def stripe_key(text: str) -> str:
    """Parses a secret or restricted API key of Stripe."""
    if not text.startswith(("sk_test_", "sk_live_", "rk_test_", "rk_live_")):
        raise ValueError("a secret or restricted key: sk_… or rk_…")
    return text
