"""The development issuer: an Ed25519 key in the data folder that `hustlexp token` signs with."""

from __future__ import annotations

import os
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

DEV_ISSUER: Final = "hustlexp-dev"
DEV_AUDIENCE: Final = "hustlexp"
KEY_FILE: Final = "jwt_dev_key.pem"
LIFETIME_S: Final = 86_400
"""Development tokens last a day; a production issuer chooses minutes."""


def dev_issuer(data_dir: Path) -> Issuer:
    """The issuer whose public key belongs to the data folder's private one."""
    public = (
        _key(data_dir).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return Issuer(DEV_ISSUER, DEV_AUDIENCE, ("EdDSA",), key=public.decode())


def mint(
    data_dir: Path, *, subject: str, role: Role, name: str, now: float, lifetime_s: int = LIFETIME_S
) -> str:
    """A token of the development issuer, valid from `now` (Unix seconds) for `lifetime_s`."""
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
    """The folder's key, made at first use; two processes that start at once agree on one."""
    path = data_dir / KEY_FILE
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        pem = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        draft = data_dir / f".{KEY_FILE}.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} is not an Ed25519 key")
    return key
