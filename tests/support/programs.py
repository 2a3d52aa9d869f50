"""Programs that are not Python's: found on the PATH, or their tests are skipped (in CI: fail)."""

from __future__ import annotations

import os
import shutil

import pytest

# A daemon's place, which the PATH of a plain user leaves out.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def program(*names: str) -> str:
    """The path of the first of these that is installed; without one the test is skipped, in CI fails."""
    for name in names:
        if found := shutil.which(name, path=_PATH):
            return found
    missing = f"{names[0]} is not installed here (TEST_PROGRAMS in the Makefile names its package)"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
