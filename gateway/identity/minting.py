"""The development issuer: an Ed25519 key in the data folder that `hustlexp token` signs with."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.identity.auth import Role
from gateway.identity.issuers import Issuer
from gateway.identity.secret_files import load_or_create

DEV_ISSUER: Final = "hustlexp-dev"
DEV_AUDIENCE: Final = "hustlexp"
KEY_FILE: Final = "jwt_dev_key.pem"
LIFETIME_S: Final = 86_400
"""Development tokens last a day; a production issuer chooses minutes."""


def dev_issuer(data_dir: Path) -> Issuer:
    """Returns the development issuer, with the public key of the data folder's private one."""
    public = (
        _key(data_dir).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return Issuer(
        DEV_ISSUER,
        DEV_AUDIENCE,
        ("EdDSA",),
        key=public.decode(),
        roles=("poster", "hustler", "dual", "admin"),
    )


def mint(
    data_dir: Path, *, subject: str, role: Role, name: str, now: float, lifetime_s: int = LIFETIME_S
) -> str:
    """Returns a token of the development issuer.

    Valid from `now` (Unix seconds) for `lifetime_s`.
    """
    key = _key(data_dir)
    claims = {
        "iss": DEV_ISSUER,
        "aud": DEV_AUDIENCE,
        "sub": subject,
        "role": role,
        "name": name,
        "iat": int(now),
        "exp": int(now) + lifetime_s,
    }
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return jwt.encode(
        claims, key, algorithm="EdDSA", headers={"kid": sha256(public).hexdigest()[:16]}
    )


def _key(data_dir: Path) -> Ed25519PrivateKey:
    path = data_dir / KEY_FILE
    key = load_pem_private_key(load_or_create(path, _new_key), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} is not an Ed25519 key")
    return key


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


OBSERVER_S: Final = 600


def observer_token(data_dir: Path) -> str:
    """Returns a fresh token for the map of a development service."""
    return mint(
        data_dir,
        subject="observer",
        role="admin",
        name="Observer",
        now=time.time(),
        lifetime_s=OBSERVER_S,
    )
