"""`make load`: people under locust against a service of their own, with thresholds.

Exit codes: 0 every threshold is kept, 1 one is missed, 2 bad options, or the run failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.load import plan as plans
from bench.load import thresholds
from bench.load.own_service import NotStarted, own_service, tickets
from bench.load.shapes.catalogue import SHAPES
from bench.micro.report import print_targets

USERS: Final = range(5, 1_001)
SECONDS: Final = range(10, 3_601)
GRACE_S: Final = 60
"""Beyond its length a run may take so long to end; then it is cut, and has failed."""
LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
WEB_PORT: Final = 8089


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command line, checked."""

    shape: str
    users: int
    seconds: int
    seed: int
    report: Path
    thresholds: thresholds.Thresholds
    web_port: int | None


def options_of(words: list[str] | None = None) -> Options:
    """Returns the checked options; a bad one ends the process with code 2 and a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.load",
        description=(__doc__ or "").splitlines()[0],
        epilog="Shapes: " + "; ".join(f"{name}: {each.about}" for name, each in SHAPES.items()),
    )
    parser.add_argument("--shape", choices=sorted(SHAPES), default="morning")
    parser.add_argument("--users", type=int, default=60, help="most at once, one in five a poster")
    parser.add_argument("--seconds", type=int, default=60, help="length of the run")
    parser.add_argument("--seed", type=int, default=7, help="of places and decisions")
    parser.add_argument(
        "--report", type=Path, default=Path(".hustlexp/load"), help="folder of JSON and CSV"
    )
    parser.add_argument(
        "--thresholds",
        type=Path,
        default=LOCUSTFILE.with_name("thresholds.toml"),
        help="TOML file: failures, and p95_ms for each metric",
    )
    parser.add_argument(
        "--ui", action="store_true", help="run until Ctrl-C and show locust's web page"
    )
    parser.add_argument("--web-port", type=int, default=WEB_PORT, help="of that page")
    found = parser.parse_args(words)
    if found.users not in USERS:
        parser.error(f"--users is from {USERS[0]} to {USERS[-1]}, not {found.users}")
    if found.seconds not in SECONDS:
        parser.error(f"--seconds is from {SECONDS[0]} to {SECONDS[-1]}, not {found.seconds}")
    if not 1 <= found.web_port <= 65_535:
        parser.error(f"--web-port is from 1 to 65535, not {found.web_port}")
    try:
        bounds = thresholds.read(found.thresholds)
    except ValueError as error:
        parser.error(f"--thresholds: {error}")
    return Options(
        found.shape,
        found.users,
        found.seconds,
        found.seed,
        found.report,
        bounds,
        found.web_port if found.ui else None,
    )


def run(options: Options) -> int:
    """Starts the service, makes the accounts, lets locust run; returns the exit code."""
    with own_service() as (addresses, data), tempfile.TemporaryDirectory() as folder:
        posters = max(1, options.users // 5)
        people = tickets(
            data,
            {"poster": posters, "hustler": options.users - posters},
            SHAPES[options.shape].hot_share,
            options.seed,
        )
        plan = plans.Plan(
            addresses.url,
            addresses.ws_url,
            options.shape,
            float(options.seconds),
            options.seed,
            people,
        )
        path = Path(folder, "plan.json")
        plans.write(plan, path)
        print(f"{options.users} users at {addresses.url}, shape {options.shape}.", flush=True)
        if options.web_port is not None:
            return _watch(path, options.web_port)
        return _measure(path, options)


def _measure(path: Path, options: Options) -> int:
    options.report.mkdir(parents=True, exist_ok=True)
    prefix = options.report / options.shape
    figures = prefix.with_name(f"{prefix.name}.json")
    figures.unlink(missing_ok=True)
    words = [
        "--headless",
        "--only-summary",
        "--csv",
        str(prefix),
        "--json-file",
        str(figures.with_suffix("")),
    ]
    try:
        subprocess.run(
            [*_locust(), *words, "--exit-code-on-error", "0"],
            check=True,
            env=_environ(path),
            timeout=options.seconds + GRACE_S,
        )
    except subprocess.TimeoutExpired:
        print(f"The run has not ended {GRACE_S} s after its time.", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"locust has failed: exit code {error.returncode}.", file=sys.stderr)
        return 2
    entries = msgspec.json.decode(figures.read_bytes(), type=list[thresholds.Entry])
    title = f"{options.shape}, {options.users} users, {options.seconds} s, seed {options.seed}"
    code = print_targets(title, thresholds.targets(entries, options.thresholds))
    print(f"{figures} and {prefix}_*.csv have it all, {prefix}_failures.csv each kind of failure.")
    return code


def _watch(path: Path, web_port: int) -> int:
    """Shows locust's page until Ctrl-C."""
    print(f"Open http://127.0.0.1:{web_port}/ and press Start; Ctrl-C ends it.", flush=True)
    words = ["--web-host", "127.0.0.1", "--web-port", str(web_port)]
    try:
        return subprocess.run([*_locust(), *words], check=False, env=_environ(path)).returncode
    except KeyboardInterrupt:
        return 0


def _locust() -> list[str]:
    return [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(LOCUSTFILE),
        "--stop-timeout",
        "2",
        "-L",
        "WARNING",
    ]


def _environ(path: Path) -> dict[str, str]:
    return {**os.environ, plans.VARIABLE: str(path)}


def main() -> int:
    """Runs what the command line asks for; returns the exit code."""
    options = options_of()
    if importlib.util.find_spec("locust") is None:
        print("locust is not installed: `make load` installs it.", file=sys.stderr)
        return 2
    # Ends as by Ctrl-C: the service and locust go first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run(options)
    except NotStarted as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
