"""The import contracts refuse what they are there to refuse."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
ROOMS = [room for room in CONFIG["root_packages"] if (ROOT / room).is_dir()]


def forbidden() -> Iterator[tuple[str, str]]:
    """Of every layers contract: each layer below, and the one above that it may not import.

    Neighbours within a layer may not import each other either.
    """
    for contract in CONFIG["contracts"]:
        if contract["type"] != "layers":
            continue
        for container in contract.get("containers", [""]):
            layers = [
                [f"{container}.{name}".lstrip(".") for name in layer.split(" | ")]
                for layer in contract["layers"]
            ]
            for above, below in itertools.pairwise(layers):
                yield from ((importer, above[0]) for importer in below)
            for layer in layers:
                yield from itertools.pairwise(layer)


def test_an_import_against_the_layers_is_refused(tmp_path: Path) -> None:
    """In each layer of a copy one is planted, and a cycle, and a folder that no layer names."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("*.gz"))
    pairs = [(lower, upper) for lower, upper in forbidden() if lower.partition(".")[0] in ROOMS]
    for number, (importer, imported) in enumerate(pairs):
        folder = tmp_path.joinpath(*importer.split("."))
        (folder / f"planted_{number}.py").write_text(f"import {imported}\n")
    http = tmp_path / "gateway" / "http"
    (http / "docs" / "planted.py").write_text("import gateway.http.admin.planted\n")
    (http / "admin" / "planted.py").write_text("import gateway.http.docs.planted\n")
    (tmp_path / "gateway" / "planted").mkdir()
    (tmp_path / "gateway" / "planted" / "__init__.py").write_text("")

    linted = subprocess.run(
        [ROOT / ".venv" / "bin" / "lint-imports", "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert linted.returncode == 1
    for number, (importer, imported) in enumerate(pairs):
        assert f"{importer}.planted_{number} -> {imported}" in linted.stdout
    assert "No cycles are allowed in gateway.http." in linted.stdout
    assert "- gateway.planted\n" in linted.stdout
