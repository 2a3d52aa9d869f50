"""Sources of an issuer's verification keys: one key, a key set, or one behind a URL.

The URL is set, or found by OpenID Connect Discovery.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import httpx
import msgspec
import structlog

from gateway.identity.issuers import Issuer, VerifyKey, parse_description, parse_jwks

MAX_AGE_S: Final = 600.0
"""A fetched key set is looked at again after this time."""
REFETCH_S: Final = 30.0
"""Unknown key ids make us fetch again at most this often: a token cannot make us hammer a URL."""
FETCH_TIMEOUT_S: Final = 5.0
MAX_JWKS_BYTES: Final = 65_536

_UNREADABLE: Final = (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError)

Fetch = Callable[[str], Awaitable[bytes]]
Locate = Callable[[], Awaitable[str]]

log = structlog.get_logger(__name__)


class KeySource(Protocol):
    """Interface that finds the key named by a token."""

    async def key(self, kid: str | None) -> VerifyKey | None:
        """Returns the key with this key id; None when there is none."""


class OneKey:
    """A single configured key, whatever the key id."""

    def __init__(self, issuer: Issuer) -> None:
        self._key = issuer.one_key()

    async def key(self, kid: str | None) -> VerifyKey | None:  # noqa: ARG002 - as every source
        """Returns the configured key."""
        return self._key


class FixedKeySet:
    """A key set given in the settings."""

    def __init__(self, jwks: Mapping[str, object]) -> None:
        self._keys = parse_jwks(msgspec.json.encode(jwks))

    async def key(self, kid: str | None) -> VerifyKey | None:
        """Returns the key with this id; without an id only the key of a set of one."""
        return pick(self._keys, kid)


class FetchedKeySet:
    """A key set behind a URL: cached, fetched again when old or when a key id is unknown.

    `locate` finds the URL, anew for each fetch: an issuer may move its keys. While the issuer is
    unreachable the last good set stays in use.
    """

    def __init__(
        self, issuer: str, locate: Locate, fetch: Fetch, monotonic: Callable[[], float]
    ) -> None:
        self._issuer = issuer
        self._locate = locate
        self._fetch = fetch
        self._monotonic = monotonic
        self._keys: dict[str | None, VerifyKey] = {}
        self._tried_at = float("-inf")
        self._one_fetch = asyncio.Lock()

    async def key(self, kid: str | None) -> VerifyKey | None:
        """Returns the key with this id, after another fetch where that may help."""
        known = pick(self._keys, kid)
        if known is not None and self._one_fetch.locked():
            return known  # a fetch is under way: a known key need not wait for it
        if self._due(kid):
            async with self._one_fetch:
                if self._due(kid):
                    await self._refresh()
        return pick(self._keys, kid)

    def _due(self, kid: str | None) -> bool:
        age_s = self._monotonic() - self._tried_at
        return age_s >= MAX_AGE_S or (pick(self._keys, kid) is None and age_s >= REFETCH_S)

    async def published(self) -> dict[str | None, VerifyKey]:
        """Returns the keys behind the URL now; raises the network's or the parser's error."""
        return parse_jwks(await self._fetch(await self._locate()))

    async def _refresh(self) -> None:
        try:
            self._keys = await self.published()
        except _UNREADABLE as error:
            log.warning("jwks_fetch_failed", issuer=self._issuer, error=f"{error!r:.200}")
        finally:
            # only now: a call during the fetch waits for it
            self._tried_at = self._monotonic()


def key_source(issuer: Issuer, fetch: Fetch, monotonic: Callable[[], float]) -> KeySource:
    """Returns the key source for an issuer's settings."""
    url, discovery_url = issuer.jwks_url, issuer.discovery_url

    async def locate() -> str:
        if discovery_url is None:
            assert url is not None
            return url
        return parse_description(await fetch(discovery_url), issuer.issuer)

    if url is not None or discovery_url is not None:
        return FetchedKeySet(issuer.issuer, locate, fetch, monotonic)
    if issuer.jwks is not None:
        return FixedKeySet(issuer.jwks)
    return OneKey(issuer)


async def unreadable(issuer: Issuer, fetch: Fetch) -> str | None:
    """Returns why this issuer's tokens could not be checked now; None if they could."""
    source = key_source(issuer, fetch, time.monotonic)
    if not isinstance(source, FetchedKeySet):
        return None
    try:
        keys = await source.published()
    except _UNREADABLE as error:
        return f"its keys cannot be read: {str(error) or type(error).__name__}"
    return None if keys else "it publishes no key"


def pick(keys: Mapping[str | None, VerifyKey], kid: str | None) -> VerifyKey | None:
    """Returns the key with this id; without an id the only key of a set of one; else None."""
    if kid is None and len(keys) == 1:
        return next(iter(keys.values()))
    return keys.get(kid)


async def fetch_over_http(url: str) -> bytes:
    """Returns the body of a URL: 5 s in all, at most 64 KiB, no redirects, no compression."""
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with (
        asyncio.timeout(FETCH_TIMEOUT_S),
        httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        response.raise_for_status()
        if "content-encoding" in response.headers:
            raise ValueError("compressed, though that was not asked for")
        body = b""
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_JWKS_BYTES:
                raise ValueError("larger than 64 KiB")
        return body
