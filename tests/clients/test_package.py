"""The client as integrators get it: installed by itself, and used as its README shows."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hustlexp_client import HeldTask, decoding
from tests.support.paths import ROOT
from tests.support.service import Service

PACKAGE = ROOT / "clients" / "python"
ROOMS = ("bench", "broadcast", "deploy", "engine", "gateway", "geo", "sql", "tests")


async def test_the_example_of_the_readme_runs_against_a_service(service: Service) -> None:
    """Two tokens in, a job out."""
    (example,) = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    scope: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), scope)  # noqa: S102  # the page's own example
    poster, hustler = await service.user("poster"), await service.user("hustler")
    job = await scope["first_job"](service.url, poster.token, hustler.token)
    assert isinstance(job, HeldTask)
    assert (job.state, job.assigned_hustler_id) == ("ACCEPTED", hustler.user_id)


def test_the_examples_in_docstrings_are_true() -> None:
    """Each prints what it says."""
    tried = doctest.testmod(decoding)
    assert (tried.failed, tried.attempted > 0) == (0, True)


def test_the_package_installs_and_imports_without_our_tree(tmp_path: Path) -> None:
    """The wheel is typed, and works where no room of the service can be found."""
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    flags = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([*pip, *flags, str(source)], check=True, cwd=tmp_path)
    assert (target / "hustlexp_client" / "py.typed").exists()
    program = (
        "import sys, importlib.util as util\n"
        f"sys.path += [{str(target)!r}, {sysconfig.get_path('purelib')!r}]\n"
        "import hustlexp_client\n"
        "print(hustlexp_client.__file__)\n"
        f"print([room for room in {ROOMS} if util.find_spec(room)])"
    )
    # Isolated and without site: neither our folder nor the editable installation is on the path.
    received = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        check=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert received.stdout.splitlines() == [str(target / "hustlexp_client" / "__init__.py"), "[]"]
