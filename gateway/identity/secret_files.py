"""Secret files of a data folder, created at first use and atomically."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def load_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """Returns the file's content; at first use `make` gives it.

    The file is readable by its owner alone. A process that dies on the way leaves no partial file,
    and two that start at once agree.
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
