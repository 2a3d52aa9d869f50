"""DATA_DIR/pace.json: the time scale of a simulated city, for readers of its figures.

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
    """Records the time scale `speed` in the data folder while the block runs."""
    path = _path(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"speed": speed, "process": os.getpid()}))
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def time_scale(data_dir: Path) -> float | None:
    """Returns the recorded time scale; None where no simulated city runs."""
    try:
        recorded = json.loads(_path(data_dir).read_text())
        os.kill(recorded["process"], 0)  # a city that was killed left its file
        return float(recorded["speed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(data_dir: Path) -> Path:
    return data_dir / "pace.json"
