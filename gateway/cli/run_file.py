"""DATA_DIR/run.json: the addresses of the service that `hustlexp dev` runs on that folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gateway.settings.groups import Settings
from gateway.settings.loading import SettingsError


@dataclass(frozen=True, slots=True)
class RunningService:
    """What `hustlexp dev --json` prints: the first DSN is the app role's (contract)."""

    url: str
    ws_url: str
    postgres_dsn: str = field(repr=False)
    postgres_owner_dsn: str = field(repr=False)
    redis_url: str = field(repr=False)

    def line(self) -> str:
        """Returns the service's addresses as one line of JSON."""
        return json.dumps(asdict(self))

    def texts(self) -> dict[str, str]:
        """Returns the addresses as settings, by name."""
        return {
            "HX_POSTGRES_DSN": self.postgres_dsn,
            "HX_POSTGRES_OWNER_DSN": self.postgres_owner_dsn,
            "HX_REDIS_URL": self.redis_url,
            "HX_DEVELOPMENT": "true",
        }


@contextmanager
def announced(data_dir: Path, running: RunningService) -> Iterator[None]:
    """Keeps the file, readable by its owner alone, while the block runs."""
    path = _path(data_dir)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(running.line())
    draft.rename(path)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def deployment(data_dir: Path | None, environ: Mapping[str, str]) -> Settings:
    """Returns the settings of the service that a command is meant for.

    A named folder decides; else the environment, if it names a database; else the usual folder.
    Raises SettingsError where nothing runs.
    """
    settings = Settings.load(environ)
    if data_dir is None and settings.postgres.dsn:
        return settings
    folder = data_dir or settings.data_dir
    path = _path(folder)
    try:
        running = RunningService(**json.loads(path.read_text()))
    except FileNotFoundError as error:
        raise SettingsError(
            f"No service runs on {folder} ({path.name} is missing): start `hustlexp dev "
            f"--data-dir {folder}`, or set HX_POSTGRES_DSN and HX_REDIS_URL."
        ) from error
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path} is damaged: start `hustlexp dev` anew.") from error
    return Settings.load(environ, {**running.texts(), "HX_DATA_DIR": str(folder)})


def _path(data_dir: Path) -> Path:
    return data_dir / "run.json"
