"""DATA_DIR/pace.json: how fast the people of a simulated city live, for whoever reads figures of it.

A city is made of ordinary outside clients, and nothing in what they do says that they are hurried.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def recorded_time_scale(data_dir: Path, speed: float) -> Iterator[None]:
    """While the block runs, the service of this folder says that people live `speed` times as fast."""
    path = _path(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"speed": speed, "process": os.getpid()}))
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def time_scale(data_dir: Path) -> float | None:
    """How many times as fast as life people live; None where no simulated city runs."""
    try:
        recorded = json.loads(_path(data_dir).read_text())
        os.kill(recorded["process"], 0)  # a city that was killed left its file
        return float(recorded["speed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(data_dir: Path) -> Path:
    return data_dir / "pace.json"
