"""Runs every benchmark in turn and prints each one's ratios against its peer: `make bench`."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

BENCHMARKS: Final = (
    "bench.micro.radius_query",
    "bench.micro.presence",
    "bench.micro.accept_storm",
    "bench.micro.first_offer",
    "bench.micro.scoring",
)
"""Each in a process of its own, so that none warms or burdens the next."""


def main() -> int:
    """Runs all benchmarks; returns 1 where one failed or missed a target, else 0."""
    failed = 0
    for module in BENCHMARKS:
        print(f"\n── python -m {module}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", module], check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
