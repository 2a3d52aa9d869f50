"""A secret file of a data folder: made at first use, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def load_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
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
