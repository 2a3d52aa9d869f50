"""Secrets that a data folder keeps: made at first use, whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.settings import Settings, SettingsError

CODE_KEY_FILE: Final = "code_key"


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's content, readable by its owner alone; `make` gives it at first use.

    A process that dies on the way leaves no half of a file, and two that start at once agree.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = make()
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()


def code_key(settings: Settings) -> bytes:
    """The configured key of the task codes; in development one that the data folder keeps.

    Raises SettingsError where there is neither.
    """
    if settings.auth.code_key:
        return settings.auth.code_key.encode()
    if not settings.development:
        raise SettingsError(
            "HX_CODE_KEY is not set: start and completion codes need a secret of at least 32 bytes."
        )
    return kept(settings.data_dir / CODE_KEY_FILE, lambda: secrets.token_hex(32).encode())
