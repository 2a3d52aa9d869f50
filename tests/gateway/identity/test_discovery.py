"""Issuers that are asked for their keys: OpenID Connect Discovery against a server that plays one."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.kernel import errors
from gateway.identity import keys
from gateway.identity.auth import Authenticator
from gateway.identity.issuers import ASYMMETRIC, Issuer, issuers_from_json
from tests.gateway.identity.test_auth import SECRET, Directory, _jwk, claims

CONFIGURATION = "/.well-known/openid-configuration"


class Provider:
    """An identity provider on this machine: what it answers by path, and how."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.pages: dict[str, Any] = {}
        self.headers = ""
        self.drips = False

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request on one connection."""
        path = (await reader.readline()).split()[1].decode()
        while (await reader.readline()).strip():
            pass
        self.asked.append(path)
        page = self.pages.get(path)
        body = page if isinstance(page, bytes) else json.dumps(page).encode()
        status = "404 Not Found" if page is None else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\n{self.headers}\r\n".encode())
        try:
            while self.drips:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
            writer.write(body)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def serves(self, *signers: tuple[str, Ed25519PrivateKey], jwks: str = "/keys") -> None:
        """A description, and the public keys of these."""
        self.pages = {
            CONFIGURATION: {"issuer": self.url, "jwks_uri": self.url + jwks},
            jwks: {"keys": [_jwk(key, kid) for kid, key in signers]},
        }

    def token(self, key: Any, kid: str | None = "k1", alg: str = "EdDSA", **more: Any) -> str:
        """A token of this issuer."""
        headers = {"kid": kid} if kid else None
        return jwt.encode(claims(iss=self.url, **more), key, algorithm=alg, headers=headers)

    def issuer(self) -> Issuer:
        """As an operator names it: address and audience, nothing else."""
        (issuer,) = issuers_from_json(json.dumps([{"issuer": self.url, "audience": "hustlexp"}]))
        return issuer


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """Answers while the test runs."""
    provider = Provider()
    async with await asyncio.start_server(provider.answer, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        provider.url = f"http://{host}:{port}"
        yield provider


class Clock:
    """Moved by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.seconds


KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


async def refused(authenticator: Authenticator, token: str) -> bool:
    """Whether the token is not believed."""
    try:
        await authenticator.user(token)
    except errors.Refusal as refusal:
        return refusal.kind == errors.kind("HX502", "TOKEN-INVALID")
    return False


async def test_an_address_and_an_audience_are_enough(provider: Provider) -> None:
    """One look at the description and one at the keys, for any number of tokens."""
    provider.serves(("k1", KEY))
    authenticator = Authenticator([provider.issuer()], Directory().user_for)
    for subject in ("u-1", "u-2", "u-3"):
        assert (await authenticator.user(provider.token(KEY, sub=subject))).role == "dual"
    assert provider.asked == [CONFIGURATION, "/keys"]
    assert await refused(authenticator, provider.token(OTHER))
    assert await refused(authenticator, provider.token(KEY, aud="billing"))


def test_without_a_list_no_secret_is_an_algorithm(provider: Provider) -> None:
    """Whoever can check a token must not be able to make one."""
    assert provider.issuer().algorithms == ASYMMETRIC
    assert not [name for name in ASYMMETRIC if name.startswith("HS")]


async def test_a_secret_that_the_provider_publishes_signs_nothing(provider: Provider) -> None:
    """An oct key in the set, and a token with HS256 under its id."""
    provider.serves(("k1", KEY))
    provider.pages["/keys"]["keys"].append({"kty": "oct", "k": "c2VjcmV0", "kid": "s"})
    authenticator = Authenticator([provider.issuer()], Directory().user_for)
    assert await refused(authenticator, provider.token(SECRET, "s", "HS256"))
    assert await refused(authenticator, provider.token(SECRET, "k1", "HS256"))


async def test_rotated_and_moved_keys_are_found_and_no_token_makes_us_hammer(
    provider: Provider,
) -> None:
    """An unknown key id looks again, after 30 s at the earliest, at the description too."""
    provider.serves(("k1", KEY))
    clock = Clock()
    authenticator = Authenticator([provider.issuer()], Directory().user_for, monotonic=clock)
    await authenticator.user(provider.token(KEY))
    provider.serves(("k2", OTHER), jwks="/moved")
    for _ in range(5):
        assert await refused(authenticator, provider.token(OTHER, "k2"))
    assert provider.asked == [CONFIGURATION, "/keys"]
    clock.seconds = 30.0
    await authenticator.user(provider.token(OTHER, "k2"))
    assert provider.asked[2:] == [CONFIGURATION, "/moved"]
    assert await refused(authenticator, provider.token(KEY, "k1", sub="u-9")), (
        "taken out of the set"
    )


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://evil.example"},
        {"issuer": "{url}/"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "http://keys.example/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "/keys"},
    ],
    ids=str,
)
async def test_a_description_that_does_not_fit_gives_no_keys(
    provider: Provider, description: dict[str, str | None]
) -> None:
    """Another issuer (a slash is another one), or an address that is not safe."""
    provider.serves(("k1", KEY))
    changed = {name: text and text.format(url=provider.url) for name, text in description.items()}
    provider.pages[CONFIGURATION] |= changed
    assert await refused(
        Authenticator([provider.issuer()], Directory().user_for), provider.token(KEY)
    )
    assert provider.asked == [CONFIGURATION]


@pytest.mark.parametrize(
    "how", ["slow", "huge", "squeezed", "redirected", "no JSON", "away", "keys of no kind"]
)
async def test_a_provider_that_misbehaves_costs_little_and_gives_no_keys(
    provider: Provider, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounded in time and size; nothing is unpacked and no redirect is followed."""
    provider.serves(("k1", KEY))
    monkeypatch.setattr(keys, "FETCH_TIMEOUT_S", 0.3)
    if how == "slow":
        provider.drips = True
    elif how == "huge":
        provider.pages["/keys"] = b" " * (keys.MAX_JWKS_BYTES + 1)
    elif how == "squeezed":
        provider.headers = "Content-Encoding: gzip\r\n"
        provider.pages[CONFIGURATION] = gzip.compress(json.dumps(provider.pages).encode())
    elif how == "redirected":
        del provider.pages["/keys"]
        provider.headers = "Location: /elsewhere\r\n"
    elif how == "no JSON":
        provider.pages["/keys"] = b"<html>"
    elif how == "away":
        provider.pages = {}
    else:
        provider.pages["/keys"] = {"keys": [{"kty": "RSA", "kid": "k1"}]}
    authenticator = Authenticator([provider.issuer()], Directory().user_for)
    async with asyncio.timeout(5):
        assert await refused(authenticator, provider.token(KEY))
    assert "/elsewhere" not in provider.asked


async def test_the_last_good_keys_serve_while_the_provider_is_slow(provider: Provider) -> None:
    """A key that is known waits for nobody's look at the provider but its own."""
    provider.serves(("k1", KEY))
    clock = Clock()
    authenticator = Authenticator([provider.issuer()], Directory().user_for, monotonic=clock)
    await authenticator.user(provider.token(KEY))
    clock.seconds, provider.drips = 601.0, True
    looking = asyncio.create_task(authenticator.user(provider.token(KEY, sub="first")))
    while len(provider.asked) < 3:  # noqa: ASYNC110 - the server plays somebody else
        await asyncio.sleep(0.01)
    async with asyncio.timeout(2):
        await authenticator.user(provider.token(KEY, sub="second"))
    assert not looking.done()
    provider.drips = False
    await looking
