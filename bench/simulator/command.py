"""`hustlexp simulate`: runs a city of ordinary clients against a running service."""

from __future__ import annotations

import asyncio
import json as json_text
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx
import msgspec
from rich.console import Console

from bench.simulator import money_check, summary, terminal
from bench.simulator.city import City, Crowd, Setting
from bench.simulator.marlow_bay import MarlowBay
from bench.simulator.people import Mint
from bench.simulator.projection import LatLng
from bench.simulator.replay import Replay, TraceClock
from bench.simulator.run_log import RunLog
from bench.simulator.time_scale import TimeScale
from bench.simulator.traces import DAY_S, Recording, busiest_start, read_folder
from gateway.cli.dev_accounts import DevAccounts, open_dev_accounts
from gateway.cli.run_file import deployment
from gateway.identity.auth import Role
from gateway.observer.time_scale import recorded_time_scale
from gateway.server.cli_errors import CommandError, UsageError
from gateway.server.shutdown import Stop, run
from gateway.settings.groups import Settings

CITY_SPEED: Final = 8.0
TRACE_SPEED: Final = 60.0


def simulate(  # noqa: PLR0913  # the options of a command
    hustlers: int = 60,
    *,
    seed: int = 7,
    duration: float | None = None,
    speed: float | None = None,
    traces: Path | None = None,
    url: str | None = None,
    data_dir: Path | None = None,
    json: bool = False,
) -> int:
    """Let a city live against the service: hustlers and posters as ordinary outside clients.

    --speed makes people live faster than life: their delays, their work, the arrival of tasks,
    recorded traces, and driving (up to 3x, for the service rightly refuses impossible speeds).
    It cannot scale the service's own clock: the radius grows every 60 s, a broadcast lasts 10 min,
    rests and the 5 min between two switches to LIVE take their time.

    Args:
        hustlers: How many are on the streets at once.
        seed: The same seed is the same city with the same decisions.
        duration: Seconds to run. Default: until Ctrl-C, or until the traces end.
        speed: How many times faster than life people live. Default: 8, with traces 60.
        traces: Folder of recorded traces (lines of latitude, longitude, occupied, Unix time) that
            drive the hustlers: every day of every file becomes one.
        url: Where the service is. Default: as run.json of the data folder says.
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
        json: Print nothing but the summary, as one line of JSON.
    """
    factor = speed or (CITY_SPEED if traces is None else TRACE_SPEED)
    if factor <= 0 or hustlers < 1 or (duration is not None and duration <= 0):
        raise UsageError("--speed, --duration and the number of hustlers are above 0.")
    if url is not None and not url.startswith(("http://", "https://")):
        raise UsageError("--url begins with http:// or https://.")
    settings = deployment(data_dir, os.environ)
    base_url = (url or _url_of(settings)).rstrip("/")
    setting = Setting(base_url, f"ws{base_url[4:]}/ws", hustlers, seed, factor, duration)
    recording = None if traces is None else _read(traces)
    return run(lambda stop: _simulate(_Run(setting, settings, recording, json), stop))


@dataclass(frozen=True, slots=True)
class _Run:
    setting: Setting
    settings: Settings
    recording: Recording | None
    quiet: bool


async def _simulate(wanted: _Run, stop: Stop) -> int:
    await _answering(wanted.setting.base_url)
    run_log = RunLog()
    async with open_dev_accounts(wanted.settings) as dev_accounts:
        mint = _mint(dev_accounts, wanted.setting.seed)
        city = City(wanted.setting, _crowd(wanted, run_log), mint, run_log)
        with stop.by(city.end), recorded_time_scale(wanted.settings.data_dir, wanted.setting.speed):
            await _watched(city, wanted)
            money = await money_check.balance(city)
    recording = wanted.recording
    figures = summary.summarise(
        city,
        None if recording is None else (recording.fixes, recording.junk_lines),
        money,
    )
    print(msgspec.json.encode(figures).decode() if wanted.quiet else summary.text(figures))
    return 0


async def _watched(city: City, wanted: _Run) -> None:
    """Runs the city with the terminal view beside it."""
    watching = asyncio.create_task(_watch(city, wanted))
    try:
        await city.run()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(city: City, wanted: _Run) -> None:
    if not wanted.quiet:
        await terminal.watch(city, Console(), wanted.setting.base_url)


def _crowd(wanted: _Run, run_log: RunLog) -> Crowd:
    setting, time_scale = wanted.setting, TimeScale(wanted.setting.speed)
    if wanted.recording is None:
        return MarlowBay(setting.hustlers, setting.seed, time_scale)
    window_s = DAY_S if setting.duration_s is None else setting.duration_s * setting.speed
    start_s = busiest_start(wanted.recording.days, window_s)
    clock = TraceClock(start_s, min(DAY_S, start_s + window_s), setting.speed)
    return Replay(wanted.recording, clock, time_scale, run_log, setting.seed)


def _mint(dev_accounts: DevAccounts, seed: int) -> Mint:
    """Returns a maker of tokens for accounts new to each run, free of earlier cool-downs."""
    run_name = f"city-{seed}-{time.time_ns():x}"

    async def mint(role: Role, name: str, home: LatLng | None) -> tuple[str, UUID]:
        subject = f"{run_name}-{role}-{next(numbers)}"
        person = await dev_accounts.person(role, name, subject, home)
        return person.token, person.user_id

    numbers = iter(range(1_000_000_000))
    return mint


def _read(folder: Path) -> Recording:
    try:
        return read_folder(folder)
    except (OSError, ValueError) as error:
        raise UsageError(f"--traces: {error}.") from error


def _url_of(settings: Settings) -> str:
    """Returns the URL `hustlexp dev` announced in the data folder, else `serve`'s default."""
    with suppress(OSError, ValueError, KeyError):
        return str(json_text.loads((settings.data_dir / "run.json").read_text())["url"])
    return f"http://{settings.http.host}:{settings.http.port}"


async def _answering(base_url: str) -> None:
    try:
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as http:
            answer = await http.get("/livez", timeout=10)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(
            f"No service answers at {base_url}: start `hustlexp dev`, or name another with --url."
        ) from error
    if not answer.is_success:
        raise CommandError(
            f"{base_url} answers, but it is no HustleXP Live ({answer.status_code})."
        )
