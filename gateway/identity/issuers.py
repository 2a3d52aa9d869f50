"""The configured identity providers: `HX_JWT_ISSUERS`, parsed and checked once.

Algorithms are fixed here, per issuer, and never read from a token (RFC 8725 §3.1).
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.types import JWKDict
from msgspec import Meta, Struct

Algorithm = Literal[
    "EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256", "HS256", "HS384", "HS512"
]
ASYMMETRIC: Final[tuple[Algorithm, ...]] = (
    *("EdDSA", "ES256", "ES384", "RS256", "RS384", "RS512", "PS256"),
)
"""Where an issuer's own list is not given: a verifier of these cannot sign with them."""
DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
SECRET_MIN_BYTES: Final = 32
"""An HMAC secret has at least 256 bits (RFC 8725 §3.5)."""

VerifyKey = jwt.PyJWK | bytes | object
Name = Annotated[str, Meta(min_length=1, max_length=255)]
SAFE_URL: Final = r"^https://|^http://(127\.0\.0\.1|localhost|\[::1\])[:/]"
"""https, or http on this machine."""


class Issuer(Struct, frozen=True, forbid_unknown_fields=True):
    """One identity provider: `key`, `jwks` or `jwks_url` says where its keys come from.

    Without any of them they are located by OpenID Connect Discovery 1.0.
    """

    issuer: Name
    audience: Name
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1, max_length=8)] = ASYMMETRIC
    key: str | None = None
    """A PEM public key, or the shared secret of an HS algorithm."""
    jwks: dict[str, object] | None = None
    """A JSON Web Key Set, given in place."""
    jwks_url: Annotated[str, Meta(pattern=SAFE_URL)] | None = None
    """Where the key set is fetched: https, or http on this machine."""
    role_claim: Name = "role"
    name_claim: Name = "name"
    default_role: Literal["poster", "hustler", "dual"] | None = None
    """For tokens without a role claim; None refuses them."""
    roles: Annotated[
        tuple[Literal["poster", "hustler", "dual", "admin"], ...], Meta(min_length=1)
    ] = ("poster", "hustler", "dual")
    """What its tokens may claim: administrators only where an operator says so."""

    def __post_init__(self) -> None:
        """Raises ValueError for settings that are unsafe or contradict each other."""
        given = [field for field in (self.key, self.jwks, self.jwks_url) if field is not None]
        if len(given) > 1:
            raise ValueError("give at most one of key, jwks and jwks_url")
        if not given:
            self._check_address()
        symmetric = [name.startswith("HS") for name in self.algorithms]
        if any(symmetric) and not all(symmetric):
            raise ValueError("an issuer signs either with a secret or with key pairs, not both")
        if any(symmetric) and (self.key is None or len(self.key.encode()) < SECRET_MIN_BYTES):
            raise ValueError(f"an HS issuer needs a key of at least {SECRET_MIN_BYTES} bytes")
        if self.default_role is not None and self.default_role not in self.roles:
            raise ValueError("default_role is none of the roles")
        if self.jwks is not None and not parse_jwks(msgspec.json.encode(self.jwks)):
            raise ValueError("jwks holds no public signing key")
        if self.key is not None:
            self.one_key()

    @property
    def discovery_url(self) -> str | None:
        """The address of the issuer's OpenID configuration; None where its keys are configured."""
        if self.key is not None or self.jwks is not None or self.jwks_url is not None:
            return None
        return self.issuer.rstrip("/") + DISCOVERY_PATH

    def _check_address(self) -> None:
        address = urlsplit(self.issuer)
        if not re.match(SAFE_URL, f"{self.issuer}/") or address.query or address.fragment:
            raise ValueError(
                "without key, jwks and jwks_url the issuer is an https:// address, where its"
                " keys are asked for"
            )

    def one_key(self) -> VerifyKey:
        """Returns the key of `key`: the secret itself, or the public key read from its PEM."""
        text = (self.key or "").encode()
        if self.algorithms[0].startswith("HS"):
            return text
        try:
            return load_pem_public_key(text)
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("key is no PEM public key") from None


def issuers_from_json(text: str) -> tuple[Issuer, ...]:
    """Returns the issuers of `HX_JWT_ISSUERS`, a JSON list; raises ValueError for a bad one."""
    issuers = msgspec.json.decode(text, type=tuple[Issuer, ...])
    names = [issuer.issuer for issuer in issuers]
    if len(set(names)) != len(names):
        raise ValueError("each issuer may be listed only once")
    return issuers


def parse_jwks(body: bytes) -> dict[str | None, VerifyKey]:
    """Returns the public signing keys of a JSON Web Key Set by id; raises ValueError if invalid.

    Symmetric keys and keys of kinds we do not know are left out.
    """
    jwks = msgspec.json.decode(body, type=dict[str, object])
    entries = msgspec.convert(jwks.get("keys"), list[JWKDict])
    keys: dict[str | None, VerifyKey] = {}
    for entry in entries:
        if entry.get("kty") in ("RSA", "EC", "OKP") and entry.get("use", "sig") == "sig":
            try:
                keys[entry.get("kid")] = jwt.PyJWK(entry).key
            except jwt.PyJWTError as error:
                raise ValueError(f"the key set has a key that is none: {error}") from None
    return keys


class _Description(Struct, frozen=True):
    """The fields that are read of an issuer's OpenID configuration (Discovery 1.0, §3)."""

    issuer: str
    jwks_uri: Annotated[str, Meta(pattern=SAFE_URL, max_length=2_048)]


def parse_description(body: bytes, issuer: str) -> str:
    """Returns the address of the key set in an issuer's OpenID configuration.

    Raises ValueError for a description of another issuer (§4.3) or none.
    """
    description = msgspec.json.decode(body, type=_Description)
    if description.issuer != issuer:
        raise ValueError("the description is of another issuer")
    return description.jwks_uri
