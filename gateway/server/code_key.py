"""The secret key from which the start and completion codes are derived."""

from __future__ import annotations

import secrets
from typing import Final

from gateway.identity.secret_files import load_or_create
from gateway.settings.groups import Settings
from gateway.settings.loading import SettingsError

CODE_KEY_FILE: Final = "code_key"


def code_key(settings: Settings) -> bytes:
    """Returns the key of the task codes; in development one kept in the data folder.

    Raises SettingsError where there is neither.
    """
    if settings.auth.code_key:
        return settings.auth.code_key.encode()
    if not settings.development:
        raise SettingsError(
            "HX_CODE_KEY is not set: start and completion codes need a secret of at least 32 bytes."
        )
    return load_or_create(settings.data_dir / CODE_KEY_FILE, lambda: secrets.token_hex(32).encode())
