"""A service of the run's own: `hustlexp dev` with its embedded servers, on loopback alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from bench.load.places import place
from bench.load.users.accounts import Role, Ticket
from gateway.cli.dev_accounts import open_dev_accounts
from gateway.cli.run_file import deployment

STOP_S: Final = 20.0
SETTINGS: Final = {"HX_BROADCAST_INTERVAL_S": "5", "HX_BROADCAST_TTL_S": "25"}
"""A broadcast grows and ends within a run, so that posters have a choice to make."""


class NotStarted(Exception):
    """The service has not come up; the message is its own."""


class Addresses(msgspec.Struct, frozen=True):
    """Where the service answers, of what `hustlexp dev --json` prints."""

    url: str
    ws_url: str


@contextmanager
def own_service() -> Iterator[tuple[Addresses, Path]]:
    """Runs a service on a folder of its own while the block runs; raises NotStarted."""
    with tempfile.TemporaryDirectory(prefix="hx-load-") as folder:
        environ = {name: text for name, text in os.environ.items() if not name.startswith("HX_")}
        service = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway.cli", "dev", "--json"),
                *("--port", "0", "--data-dir", folder),
            ],
            env=environ | SETTINGS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert service.stdout is not None
        try:
            line = service.stdout.readline()
            if not line:
                raise NotStarted(f"The service has not started: exit code {service.wait()}.")
            yield msgspec.json.decode(line, type=Addresses), Path(folder)
        finally:
            service.send_signal(signal.SIGTERM)
            try:
                service.wait(STOP_S)
            except subprocess.TimeoutExpired:
                service.kill()
                service.wait()


def tickets(folder: Path, counts: dict[Role, int], hot_share: float, seed: int) -> list[Ticket]:
    """Makes so many accounts of each role, at places of the city, and returns their tokens."""
    return asyncio.run(_tickets(folder, counts, hot_share, Random(seed)))


async def _tickets(
    folder: Path, counts: dict[Role, int], hot_share: float, draw: Random
) -> list[Ticket]:
    made: list[Ticket] = []
    run_name = f"load-{time.time_ns():x}"
    async with open_dev_accounts(deployment(folder, {})) as accounts:
        for role, count in counts.items():
            for number in range(count):
                lat, lng = place(draw, hot_share)
                subject = f"{run_name}-{role}-{number}"
                person = await accounts.person(
                    role, f"{role.title()} {number}", subject, (lat, lng)
                )
                made.append(Ticket(role, person.token, lat, lng))
    return made
