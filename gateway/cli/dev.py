"""`hustlexp dev`: the whole service on this machine, with servers of its own if need be."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket
from typing import Annotated, TextIO

from cyclopts import Parameter
from cyclopts.validators import Number

from deploy.embedded import Servers, embedded_servers
from gateway.cli.run_file import RunningService, announced
from gateway.cli.seed import seed_people
from gateway.server.cli_errors import CommandError, UsageError
from gateway.server.logs import configure_logs
from gateway.server.redaction import secrets_of
from gateway.server.serving import listen, serve, url_of
from gateway.server.shutdown import Stop, run
from gateway.server.supervisor import serve_workers
from gateway.settings.groups import Http, Settings
from sql.migrate import OtherSchema, migrate

Ready = Callable[[str], None]

CITY_STOP_LIMIT_S = 10.0
"""Closing the sessions and counting the books; beyond it the city is cut."""


@dataclass(frozen=True)
class Options:
    """The options of the command line that are not settings."""

    simulate: int | None
    workers: int | None
    json: bool


def dev(
    *,
    simulate: int | None = None,
    port: int | None = None,
    data_dir: Path | None = None,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1, lte=64))] = None,
    json: bool = False,
) -> int:
    """Run everything here: embedded servers, migrations, seed, service; until Ctrl-C.

    With HX_POSTGRES_DSN or HX_REDIS_URL set, those servers are used.

    Args:
        simulate: Fill a city with so many hustlers, and watch it in this terminal.
        port: TCP port of the service; 0 takes a free one. Default: 8000, or a free one.
        data_dir: Where servers, keys and logs live. Default: .hustlexp
        workers: Run so many gateways on one port, and a broadcaster and a worker beside them.
        json: Print one line of JSON when ready (url, ws_url, DSNs), and nothing else.
    """
    if simulate is not None and simulate < 1:
        raise UsageError("--simulate takes the number of hustlers, at least 1.")
    given = {"HX_DEVELOPMENT": "true"}
    if data_dir is not None:
        given["HX_DATA_DIR"] = str(data_dir.expanduser().absolute())
    if port is not None:
        given["HX_PORT"] = str(port)
    asked = Settings.load(os.environ, given)
    return run(lambda stop: _dev(Options(simulate, workers, json), given, asked, stop))


async def _dev(options: Options, given: Mapping[str, str], asked: Settings, stop: Stop) -> int:
    named = bool(given.get("HX_PORT") or os.environ.get("HX_PORT"))
    async with AsyncExitStack() as stack:
        # First, since it fails at once, and before the servers, which take a while.
        listener = stack.enter_context(closing(_listener(asked.http, named=named)))
        asked.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        servers = await stack.enter_async_context(
            embedded_servers(
                asked.data_dir,
                postgres_dsn=asked.postgres.dsn or None,
                postgres_owner_dsn=asked.postgres.owner_dsn or None,
                redis_url=asked.redis.url or None,
            )
        )
        environ = {**os.environ, **given, **_server_settings(servers)}
        settings = Settings.load(environ)
        try:
            await migrate(servers.postgres_owner_dsn)
        except OtherSchema as error:
            if asked.postgres.dsn:
                raise
            raise CommandError(
                f"{settings.data_dir} was made by another version: {error}. Nothing in it is needed"
                " by this one; remove the folder, or name another with --data-dir."
            ) from error
        await seed_people(settings)
        log = stack.enter_context(_log_file(settings))
        configure_logs(settings.log, log, secrets_of(settings))
        url = url_of(listener)

        async def service(ready: Ready, service_stop: Stop) -> int:
            if options.workers is None:
                await serve(settings, listener, ready, service_stop)
                return 0
            http = replace(settings.http, port=listener.getsockname()[1])
            listener.close()
            return await serve_workers(
                replace(settings, http=http), options.workers, environ, ready, service_stop, log
            )

        return await _serve(url, settings, servers, options, stop, service)


async def _serve(
    url: str,
    settings: Settings,
    servers: Servers,
    options: Options,
    stop: Stop,
    serve_it: Callable[[Ready, Stop], Awaitable[int]],
) -> int:
    running = RunningService(
        url,
        url.replace("http", "ws", 1) + "/ws",
        servers.postgres_dsn,
        servers.postgres_owner_dsn,
        servers.redis_url,
    )
    serving = asyncio.Event()
    service = Stop()
    city = _City(service)
    with ExitStack() as announcement:

        def ready(_url: str) -> None:
            announcement.enter_context(announced(settings.data_dir, running))
            print(running.line() if options.json else _welcome(url, settings), flush=True)
            announcement.enter_context(stop.by(city.end))
            serving.set()

        async with city.beside(url, settings, options, serving):
            code = await serve_it(ready, service)
    return code or city.code


class _City:
    """The simulation's process beside the service, which it needs until it has closed its books.

    So either one's end stops the city first, and then the service may stop.
    """

    def __init__(self, service: Stop) -> None:
        self._service = service
        self._process: asyncio.subprocess.Process | None = None
        self.code = 0

    @property
    def _runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def end(self) -> None:
        """Asks the city to end, and the service after it. Without a city the service ends."""
        if self._process is not None and self._runs:
            self._process.send_signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(CITY_STOP_LIMIT_S, self.kill)
        else:
            self._service.ask()

    def kill(self) -> None:
        """Kills the city's process at once."""
        if self._process is not None and self._runs:
            self._process.kill()

    @asynccontextmanager
    async def beside(
        self, url: str, settings: Settings, options: Options, serving: asyncio.Event
    ) -> AsyncIterator[None]:
        """Runs the city, if one was asked for, during the block; its end stops the service."""
        if options.simulate is None:
            yield
            return
        command = [
            *(sys.executable, "-m", "gateway.cli", "simulate"),
            *("--hustlers", str(options.simulate)),
            *("--url", url),
            *("--data-dir", str(settings.data_dir)),
        ]
        with ExitStack() as files:
            log = settings.data_dir / "simulate.log"
            output = files.enter_context(log.open("w")) if options.json else None
            life = asyncio.create_task(self._live(command, output, serving), name="city")
            try:
                yield
            finally:
                life.cancel()
                await asyncio.gather(life, return_exceptions=True)

    async def _live(
        self, command: Sequence[str], output: TextIO | None, serving: asyncio.Event
    ) -> None:
        await serving.wait()
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
        self._process = process
        try:
            self.code = 0 if await process.wait() == 0 else 1
        finally:
            # Cut short by a second signal, or by a service that failed: nobody waits any more.
            self.kill()
            await process.wait()
            self._service.ask()


def _listener(http: Http, *, named: bool) -> socket:
    """Returns the listening socket; without a requested port, a free one if the usual is taken."""
    try:
        return listen(http)
    except CommandError:
        if named:
            raise
        return listen(Http(host=http.host, port=0))


def _server_settings(servers: Servers) -> dict[str, str]:
    return {
        "HX_POSTGRES_DSN": servers.postgres_dsn,
        "HX_POSTGRES_OWNER_DSN": servers.postgres_owner_dsn,
        "HX_REDIS_URL": servers.redis_url,
    }


def _log_file(settings: Settings) -> TextIO:
    """Opens the file for the service's log: the terminal belongs to the reader."""
    return (settings.data_dir / "service.log").open("a", buffering=1)


def _welcome(url: str, settings: Settings) -> str:
    return (
        f"HustleXP Live on {url} (map at /, API at /docs), log in "
        f"{settings.data_dir / 'service.log'}; Ctrl-C stops it, twice at once."
    )
