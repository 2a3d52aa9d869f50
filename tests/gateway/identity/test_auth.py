"""Only tokens of configured issuers are believed, and only what they may say."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Literal, cast
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.kernel import errors
from engine.kernel.ids import UserId
from engine.people.queries import TokenSubject, User
from gateway.identity import auth, minting
from gateway.identity.auth import Authenticator
from gateway.identity.issuers import Issuer, issuers_from_json
from gateway.identity.secret_files import load_or_create

NOW = float(int(time.time()))
LIFETIME_S = 3_600
"""Of a good token: longer than a test run, for PyJWT reads the real clock."""
"""PyJWT reads the clock itself, so the tests live today."""
SECRET = "s" * 64


def _pem(key: Any) -> str:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return cast("bytes", public).decode()


def _jwk(key: Ed25519PrivateKey, kid: str) -> dict[str, object]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig"}


EDDSA = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
ES256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)

ISSUERS = (
    Issuer("https://ed.example", "hustlexp", ("EdDSA",), key=_pem(EDDSA)),
    Issuer("https://es.example", "hustlexp", ("ES256",), key=_pem(ES256)),
    Issuer("https://rs.example", "hustlexp", ("RS256",), key=_pem(RSA)),
    Issuer("https://hs.example", "hustlexp", ("HS256",), key=SECRET),
    Issuer("https://set.example", "hustlexp", ("EdDSA",), jwks={"keys": [_jwk(OTHER, "k1")]}),
    Issuer(
        "https://odd.example", "hustlexp", ("EdDSA",), key=_pem(EDDSA),
        role_claim="https://odd.example/kind", name_claim="nickname", default_role="hustler",
    ),
    Issuer("https://ops.example", "hustlexp", ("EdDSA",), key=_pem(EDDSA), roles=("admin",)),
)  # fmt: skip


class Directory:
    """Accounts in memory, in place of the users table: tokens are what is tested here."""

    def __init__(self) -> None:
        self.asked: list[TokenSubject] = []
        self.status: Literal["ACTIVE", "PAUSED", "SUSPENDED"] = "ACTIVE"
        self.users: dict[tuple[str, str], UserId] = {}

    async def user_for(self, subject: TokenSubject) -> User:
        """The same user for the same issuer and subject."""
        self.asked.append(subject)
        user = self.users.setdefault(subject[:2], UserId(uuid4()))
        return User(user, cast("auth.Role", subject.role), self.status)


@pytest.fixture
def directory() -> Directory:
    """Nobody yet."""
    return Directory()


@pytest.fixture
def authenticator(directory: Directory) -> Authenticator:
    """All issuers, at a fixed time."""
    return Authenticator(ISSUERS, directory.user_for, now=lambda: NOW)


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims of the EdDSA issuer, changed; None leaves a claim out."""
    good = {"iss": "https://ed.example", "aud": "hustlexp", "sub": "u-1", "role": "dual"}
    merged = good | {"exp": NOW + LIFETIME_S, "nbf": NOW - 60, "name": "Ann"} | changes
    return {name: value for name, value in merged.items() if value is not None}


def token(key: Any = EDDSA, alg: str = "EdDSA", kid: str | None = None, **changes: Any) -> str:
    """A signed token with these claims changed."""
    return jwt.encode(claims(**changes), key, algorithm=alg, headers={"kid": kid} if kid else None)


def unsigned(alg: str) -> str:
    """A token whose header says `alg` and whose signature is empty."""
    parts = [{"alg": alg, "typ": "JWT"}, claims()]
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )
    return f"{head}.{body}."


@pytest.mark.parametrize(
    ("key", "alg", "issuer", "kid"),
    [
        (EDDSA, "EdDSA", "https://ed.example", None),
        (ES256, "ES256", "https://es.example", None),
        (RSA, "RS256", "https://rs.example", None),
        (SECRET, "HS256", "https://hs.example", None),
        (OTHER, "EdDSA", "https://set.example", "k1"),
        (OTHER, "EdDSA", "https://set.example", None),
    ],
)
async def test_each_issuer_is_believed_with_its_own_key(
    authenticator: Authenticator, key: Any, alg: str, issuer: str, kid: str | None
) -> None:
    """Every configured algorithm and kind of key verifies."""
    caller = await authenticator.user(token(key, alg, kid, iss=issuer))
    assert caller.role == "dual"
    assert caller.expires_at == NOW + LIFETIME_S


async def test_an_issuer_makes_administrators_only_where_that_is_set(
    authenticator: Authenticator,
) -> None:
    """`roles` of its settings; without it posters and hustlers alone."""
    caller = await authenticator.user(token(iss="https://ops.example", role="admin"))
    assert caller.role == "admin"


REFUSED: dict[str, Callable[[], str]] = {
    "signed with another key": lambda: token(OTHER),
    "another issuer's key": lambda: token(ES256, "ES256"),
    "issuer nobody configured": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(iss=None),
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg of the header, empty signature": lambda: unsigned("EdDSA"),
    "HS256 with the public key as secret": lambda: _hs256(_pem(EDDSA).encode()),
    "HS512 where HS256 is fixed": lambda: token(SECRET, "HS512", iss="https://hs.example"),
    "unknown key id": lambda: token(OTHER, kid="k2", iss="https://set.example"),
    "expired": lambda: token(exp=NOW - 31),
    "issued in the future": lambda: token(iat=NOW + 3_600),
    "issued at no number": lambda: token(iat="today"),
    "no expiry": lambda: token(exp=None),
    "expiry that is no number": lambda: token(exp="tomorrow"),
    "expiry beyond all calendars": lambda: token(exp=10**30),
    "not yet valid": lambda: token(nbf=NOW + 3_600),
    "not valid at any number": lambda: token(nbf="soon"),
    "wrong audience": lambda: token(aud="billing"),
    "wrong audiences": lambda: token(aud=["billing", "admin"]),
    "no audience": lambda: token(aud=None),
    "no subject": lambda: token(sub=None),
    "empty subject": lambda: token(sub=""),
    "subject that is a number": lambda: token(sub=7),
    "subject with a space": lambda: token(sub="a b"),
    "subject with a NUL": lambda: token(sub="a\0b"),
    "subject of 256 characters": lambda: token(sub="x" * 256),
    "10 KB of claims nobody asked for": lambda: token(note="x" * 10_240),
    "subject of 10 KB": lambda: token(sub="x" * 10_240),
    "unknown role": lambda: token(role="root"),
    "administrator of an issuer that may not make any": lambda: token(role="admin"),
    "poster of an issuer of administrators": lambda: token(iss="https://ops.example"),
    "no role": lambda: token(role=None),
    "role that is a list": lambda: token(role=["admin"]),
    "changed payload": lambda: _with_payload(token(), claims(role="admin")),
    "cut short": lambda: token()[:-4],
    "two parts": lambda: "a.b",
    "empty": lambda: "",
    "not base64": lambda: "§.§.§",
    "payload that is a list": lambda: _with_payload(token(), ["iss"]),
    "payload nested 100,000 deep": lambda: "e30." + _b64(b"[" * 5_000) + ".e30",
}


def _hs256(secret: bytes) -> str:
    """A token signed by HMAC with a text that everybody knows: the classic confusion of kinds."""
    head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{head}.{_b64(json.dumps(claims()).encode())}"
    return f"{signed}.{_b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _with_payload(signed: str, payload: object) -> str:
    head, _, signature = signed.split(".")
    return f"{head}.{_b64(json.dumps(payload).encode())}.{signature}"


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
async def test_a_bad_token_is_refused(
    authenticator: Authenticator, directory: Directory, make: Callable[[], str]
) -> None:
    """HX502 for each way a token can be wrong; nobody is looked up or created."""
    with pytest.raises(errors.Refusal) as refused:
        await authenticator.user(make())
    assert refused.value.kind == errors.kind("HX502", "TOKEN-INVALID")
    assert refused.value.message == refused.value.kind.title
    assert not directory.asked


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Token x"])
async def test_a_missing_token_is_its_own_refusal(
    authenticator: Authenticator, header: str | None
) -> None:
    """HX501 when there is no bearer token at all."""
    with pytest.raises(errors.Refusal) as refused:
        await authenticator.caller(header)
    assert refused.value.kind == errors.kind("HX501", "TOKEN-MISSING")


async def test_clocks_may_differ_by_half_a_minute(authenticator: Authenticator) -> None:
    """Leeway is 30 s on both ends."""
    now = time.time()
    await authenticator.user(token(exp=int(now) - 20, nbf=int(now) + 25, iat=int(now) + 25))


async def test_a_checked_token_still_ends(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was believed is refused once it has expired."""
    times = [NOW]
    authenticator = Authenticator(ISSUERS, directory.user_for, now=lambda: times[0])
    await authenticator.user(token())
    times[0] = NOW + LIFETIME_S + 31

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(times[0], tz)

    monkeypatch.setattr("jwt.api_jwt.datetime", Later)
    with pytest.raises(errors.Refusal):
        await authenticator.user(token())


async def test_a_user_is_looked_up_once_in_30_seconds(directory: Directory) -> None:
    """Look-ups are cached, and a suspension takes effect when the cache is 30 s old."""
    times = [0.0]
    authenticator = Authenticator(
        ISSUERS, directory.user_for, now=lambda: NOW, monotonic=lambda: times[0]
    )
    signed = token()
    first = await authenticator.user(signed)
    assert await authenticator.user(signed) == first
    assert len(directory.asked) == 1
    directory.status = "SUSPENDED"
    times[0] = 30.0
    with pytest.raises(errors.Refusal) as refused:
        await authenticator.user(signed)
    assert refused.value.kind.code == "HX503"


async def test_remembered_tokens_are_bounded(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest unused token is forgotten first."""
    monkeypatch.setattr(auth, "MAX_VERIFIED", 2)
    authenticator = Authenticator(ISSUERS, directory.user_for, now=lambda: NOW)
    tokens = [token(sub=f"u-{number}") for number in range(3)]
    for each in (*tokens, tokens[2], tokens[1]):
        await authenticator.user(each)
    assert len(directory.asked) == 3
    await authenticator.user(tokens[0])
    assert len(directory.asked) == 4


async def test_two_issuers_may_use_the_same_subject(
    authenticator: Authenticator, directory: Directory
) -> None:
    """Identity is issuer and subject together."""
    one = await authenticator.user(token())
    two = await authenticator.user(token(ES256, "ES256", iss="https://es.example"))
    assert one.user_id != two.user_id


async def test_claims_have_the_names_of_the_issuer(
    authenticator: Authenticator, directory: Directory
) -> None:
    """Role and name come from the configured claims, with a default role if one is set."""
    await authenticator.user(token(iss="https://odd.example", nickname="  Bo\x00b  "))
    odd_role = {"https://odd.example/kind": "poster"}
    await authenticator.user(token(iss="https://odd.example", sub="u-2", name=None, **odd_role))
    assert directory.asked == [
        ("https://odd.example", "u-1", "hustler", "Bob"),
        ("https://odd.example", "u-2", "poster", "Someone"),
    ]


@pytest.mark.parametrize(
    ("claimed", "received"),
    [
        ("\u200b\u2060", "Someone"),
        ("\u3164", "Someone"),
        ("\u0301", "Someone"),
        ("\u202eAnn\u0007", "Ann"),
        ("\u05d2\u05df", "\u05d2\u05df"),
        (7, "Someone"),
    ],
)
async def test_a_name_that_nobody_can_see_is_none(
    authenticator: Authenticator, directory: Directory, claimed: object, received: str
) -> None:
    """What steers the text around it is taken out of a name."""
    await authenticator.user(token(name=claimed))
    assert directory.asked[-1][3] == received


class KeyServer:
    """A JWKS URL whose keys change."""

    def __init__(self) -> None:
        self.keys: list[dict[str, object]] = []
        self.fetched = 0
        self.away = False

    async def fetch(self, _: str) -> bytes:
        """The key set now."""
        self.fetched += 1
        await asyncio.sleep(0)
        if self.away:
            raise ValueError("away")
        return json.dumps({"keys": self.keys}).encode()


FETCHED = (Issuer("https://ed.example", "hustlexp", ("EdDSA",), jwks_url="https://ed.example/k"),)


async def test_a_key_set_is_fetched_once_and_again_for_an_unknown_key(
    directory: Directory,
) -> None:
    """Rotation is noticed by an unknown key id; guessing ids cannot make us hammer the URL."""
    server, times = KeyServer(), [0.0]
    server.keys = [_jwk(EDDSA, "old")]
    authenticator = Authenticator(
        FETCHED, directory.user_for, now=lambda: NOW, monotonic=lambda: times[0], fetch=server.fetch
    )
    await asyncio.gather(*(authenticator.user(token(kid="old", sub=f"u{n}")) for n in range(9)))
    assert server.fetched == 1
    server.keys = [_jwk(EDDSA, "old"), _jwk(OTHER, "new")]
    for _ in range(5):
        with pytest.raises(errors.Refusal):
            await authenticator.user(token(OTHER, kid="new"))
    assert server.fetched == 1
    times[0] = 30.0
    await authenticator.user(token(OTHER, kid="new"))
    assert server.fetched == 2


async def test_a_key_set_that_is_away_goes_on_serving(directory: Directory) -> None:
    """The last good set is kept while its URL fails."""
    server, times = KeyServer(), [0.0]
    server.keys = [_jwk(EDDSA, "k")]
    authenticator = Authenticator(
        FETCHED, directory.user_for, now=lambda: NOW, monotonic=lambda: times[0], fetch=server.fetch
    )
    await authenticator.user(token(kid="k"))
    server.away, times[0] = True, 700.0
    await authenticator.user(token(kid="k", sub="u-2"))
    assert server.fetched == 2


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"algorithms": ["none"]}, "none"),
        ({"algorithms": []}, "length"),
        ({"algorithms": ["EdDSA", "HS256"]}, "not both"),
        ({"algorithms": ["HS256"], "key": "short"}, "32 bytes"),
        ({"key": None}, "https:// address"),
        ({"key": None, "issuer": "http://id.example"}, "https:// address"),
        ({"key": None, "issuer": "https://id.example?tenant=1"}, "https:// address"),
        ({"key": None, "issuer": "https://i", "algorithms": ["HS256"]}, "32 bytes"),
        ({"jwks_url": "https://x.example/k"}, "at most one"),
        ({"key": None, "jwks_url": "http://x.example/k"}, "regex"),
        ({"alg": "EdDSA"}, "unknown field"),
        ({"key": "no PEM"}, "no PEM public key"),
        ({"key": None, "jwks": {"keys": []}}, "no public signing key"),
        ({"key": None, "jwks": {}}, "array"),
        ({"key": None, "jwks": {"keys": [{"kty": "RSA", "kid": "k"}]}}, "none"),
        ({"roles": []}, "length"),
        ({"roles": ["root"]}, "root"),
        ({"roles": ["poster"], "default_role": "hustler"}, "default_role"),
    ],
)
def test_unsafe_settings_are_refused(entry: dict[str, object], why: str) -> None:
    """HX_JWT_ISSUERS is checked when it is read, with a reason."""
    good = {"issuer": "i", "audience": "a", "algorithms": ["EdDSA"], "key": _pem(EDDSA)}
    with pytest.raises(ValueError, match=why):
        issuers_from_json(json.dumps([good | entry]))


def test_an_issuer_stands_once() -> None:
    """Two entries for one issuer would leave open whose keys count."""
    entry = {"issuer": "i", "audience": "a", "algorithms": ["EdDSA"], "key": _pem(EDDSA)}
    with pytest.raises(ValueError, match="only once"):
        issuers_from_json(json.dumps([entry, entry]))


async def test_the_development_issuer_signs_what_it_verifies(
    tmp_path: Path, directory: Directory
) -> None:
    """A minted token is believed by whoever knows the folder."""
    signed = minting.mint(tmp_path, subject="dev-1", role="poster", name="Ann", now=time.time())
    authenticator = Authenticator([minting.dev_issuer(tmp_path)], directory.user_for)
    assert (await authenticator.user(signed)).role == "poster"


def test_a_start_that_dies_on_the_way_leaves_no_half_of_a_key(tmp_path: Path) -> None:
    """The code key too: it is there whole, or made by the next start."""
    path = tmp_path / "folder" / "code_key"

    def die() -> bytes:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_or_create(path, die)
    assert not path.exists()
    assert (
        load_or_create(path, lambda: b"first")
        == load_or_create(path, lambda: b"second")
        == b"first"
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert [left.name for left in path.parent.iterdir()] == ["code_key"]


def test_the_development_key_is_private_and_alone(tmp_path: Path) -> None:
    """Mode 0600, no draft left behind, and the same key the next time."""
    issuer = minting.dev_issuer(tmp_path)
    assert minting.dev_issuer(tmp_path) == issuer
    assert (tmp_path / minting.KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [minting.KEY_FILE]
