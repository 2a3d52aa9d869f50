"""Authenticates bearer tokens of several issuers, and finds the user behind each.

A token is accepted when its issuer is configured, its signature fits one of that issuer's fixed
algorithms, `aud` names us, `exp` lies ahead and `nbf` behind, and `sub` is a short printable text.
The reason of a refusal goes to the log, never to the caller.
"""

from __future__ import annotations

import re
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Literal, TypeVar

import jwt
import msgspec
from msgspec import Meta, Struct

from engine.events.changes import Changes
from engine.kernel.ids import UserId
from engine.people.queries import TokenSubject, User
from gateway.contract import fields
from gateway.identity import keys, revocation
from gateway.identity.issuers import Issuer

Role = Literal["poster", "hustler", "dual", "admin"]

MAY_POST: Final = frozenset[Role]({"poster", "dual"})
MAY_WORK: Final = frozenset[Role]({"hustler", "dual"})
ANYONE: Final = frozenset[Role]({"poster", "hustler", "dual", "admin"})
ADMINS: Final = frozenset[Role]({"admin"})

LEEWAY_S: Final = 30
"""Clocks of issuers may differ from ours by this much."""
MAX_TOKEN_CHARS: Final = 8_192
MAX_NAME_CHARS: Final = 80
NAMELESS: Final = "Someone"
VERIFIED_FOR_S: Final = 30.0
"""A checked token is cached this long before its user is looked up again. Who is suspended, or whose
tokens are revoked, is forgotten as soon as that is told (`Authenticator.changed`)."""
MAX_VERIFIED: Final = 20_000
"""How many checked tokens are remembered; the longest unused one goes first."""

Segment = TypeVar("Segment", bound=Struct)

_SUBJECT = re.compile(r"[\x21-\x7e]{1,255}")
_SEEN = re.compile(f"[^{fields.INVISIBLE}]")
_JWT = jwt.PyJWT()
_REQUIRED: Final = ["iss", "aud", "exp", "sub"]

NumericDate = (
    Annotated[int, Meta(ge=0, le=253_402_300_799)]
    | (Annotated[float, Meta(ge=0, le=253_402_300_799)])
)


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user."""

    user_id: UserId
    role: Role
    expires_at: float
    """Unix seconds at which the token ends."""
    issued_at: float = 0.0
    """Unix seconds at which it was issued, by its issuer's clock; 0 where it does not say."""


UserFor = Callable[[TokenSubject], Awaitable[User]]
"""Returns the account of a token's subject, created at its first use."""


class Claims(Struct, frozen=True):
    """The claims that are read from a token of any issuer."""

    iss: str
    aud: str | list[str]
    exp: NumericDate
    sub: str
    nbf: NumericDate = 0
    iat: NumericDate = 0


class _OnlyIssuer(Struct, frozen=True):
    iss: str


class _Header(Struct, frozen=True):
    typ: str = "JWT"
    kid: str | None = None


class _Unverified(Exception):
    """Raised with the reason for which a token was refused; for the log only."""


class Authenticator:
    """Turns a bearer token into a `Caller`, or refuses with HX501, HX502 or HX503."""

    def __init__(
        self,
        issuers: Iterable[Issuer],
        user_for: UserFor,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        fetch: keys.Fetch = keys.fetch_over_http,
    ) -> None:
        self._issuers = {
            issuer.issuer: (issuer, keys.key_source(issuer, fetch, monotonic)) for issuer in issuers
        }
        self._user_for = user_for
        self._now = now
        self._monotonic = monotonic
        self._verified: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._forgets = 0
        """How often users were forgotten: what was read before the last time is not kept."""

    async def caller(self, authorization: str | None) -> Caller:
        """Returns the caller of a REST request by its Authorization header."""
        if not authorization:
            raise revocation.missing()
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise revocation.missing()
        return await self.user(token.strip())

    async def user(self, token: str) -> Caller:
        """Returns the user of a token; the account is created when the subject is new."""
        if len(token) > MAX_TOKEN_CHARS:
            raise revocation.refused("token too long")
        digest = sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None and self._still_good(*known):
            self._verified.move_to_end(digest)
            return known[0]
        try:
            issuer, claims, role, name = await self._verify(token)
        except _Unverified as reason:
            raise revocation.refused(str(reason)) from None
        forgets = self._forgets
        account = await self._user_for(TokenSubject(issuer, claims.sub, role, name))
        revocation.check(account, claims.iat)
        caller = Caller(account.id, account.role, float(claims.exp), float(claims.iat))
        if forgets == self._forgets:
            self._remember(digest, caller)
        return caller

    def _still_good(self, caller: Caller, checked_at: float) -> bool:
        return (
            self._monotonic() - checked_at < VERIFIED_FOR_S
            and self._now() < caller.expires_at + LEEWAY_S
        )

    def _remember(self, digest: bytes, caller: Caller) -> None:
        self._verified[digest] = (caller, self._monotonic())
        self._verified.move_to_end(digest)
        while len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)

    def changed(self, changes: Changes) -> None:
        """Forgets who was suspended and whose tokens were revoked (`ChangeFeed`)."""
        if changes.all_may_have_changed:
            self._forgets += 1
            self._verified.clear()
        shut_out = {*changes.suspended, *(revoked.user for revoked in changes.revoked)}
        if shut_out:
            self.forget(shut_out)

    def forget(self, users: Collection[UserId]) -> None:
        """Drops the cached tokens of these users, so that the next call reads the account again."""
        self._forgets += 1
        for digest in [d for d, (caller, _) in self._verified.items() if caller.user_id in users]:
            del self._verified[digest]

    async def _verify(self, token: str) -> tuple[str, Claims, Role, str]:
        """Issuer, claims, role and name of a token, or `_Unverified`."""
        named = self._issuers.get(_unverified(token, 1, _OnlyIssuer).iss)
        if named is None:
            raise _Unverified("unknown issuer")
        issuer, source = named
        payload = await _payload(token, issuer, source)
        try:
            claims = msgspec.convert(payload, Claims)
        except ValueError:
            raise _Unverified("claims of wrong type") from None
        if not _SUBJECT.fullmatch(claims.sub):
            raise _Unverified("subject")
        return issuer.issuer, claims, _role(payload, issuer), _name(payload, issuer)


def _unverified(token: str, segment: int, shape: type[Segment]) -> Segment:
    """Returns a segment of a token: it only chooses the key that must have signed it."""
    try:
        text = token.split(".")[segment]
        payload = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        return msgspec.json.decode(payload, type=shape)
    except (IndexError, ValueError, RecursionError):
        raise _Unverified("not a JWT") from None


async def _payload(token: str, issuer: Issuer, source: keys.KeySource) -> dict[str, object]:
    """Returns the claims of a token signed by the issuer's key with one of its fixed algorithms.

    PyJWT judges iss, aud, exp, nbf and iat.
    """
    header = _unverified(token, 0, _Header)
    if header.typ.lower() not in ("jwt", "at+jwt"):
        raise _Unverified("typ is not JWT")
    key = await source.key(header.kid)
    if key is None:
        raise _Unverified("unknown key id")
    try:
        payload: dict[str, object] = _JWT.decode(
            token,
            key,  # type: ignore[arg-type]
            algorithms=list(issuer.algorithms),
            issuer=issuer.issuer,
            audience=issuer.audience,
            leeway=LEEWAY_S,
            options={"require": _REQUIRED},
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _Unverified(type(error).__name__) from None
    return payload


def _role(claims: dict[str, object], issuer: Issuer) -> Role:
    claimed = claims.get(issuer.role_claim, issuer.default_role)
    for role in issuer.roles:
        if claimed == role:
            return role
    raise _Unverified("role")


def _name(claims: dict[str, object], issuer: Issuer) -> str:
    """Returns the first name to show; a malformed claim is ignored, not refused."""
    name = claims.get(issuer.name_claim)
    if not isinstance(name, str):
        return NAMELESS
    shown = "".join(filter(str.isprintable, name)).strip()[:MAX_NAME_CHARS]
    return shown if _SEEN.search(shown) else NAMELESS
