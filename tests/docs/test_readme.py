"""The shell commands of README and docs, run as they stand there.

`docs/production.md` has a test of its own, since it begins with an empty machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.crash.service_process import ServiceProcess
from tests.support.paths import ROOT

ELSEWHERE = frozenset({"docs/production.md"})
OURS = frozenset({"hustlexp", "websockets", "python"})
"""Programs of the virtual environment: a newcomer's PATH has none, or others."""


class Block(NamedTuple):
    """A fenced block of shell commands."""

    page: str
    text: str


def blocks() -> list[Block]:
    """Every sh block of every page, in order."""
    pages = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        Block(name, text)
        for page in pages
        if (name := page.relative_to(ROOT).as_posix()) not in ELSEWHERE
        for text in re.findall(
            r"```(?:sh|bash|shell|console)\n(.*?)```", page.read_text(), re.DOTALL
        )
    ]


DEV = Block("README.md", ".venv/bin/hustlexp dev\n")
LISTEN = Block("README.md", "bin/websockets")
POST = Block("README.md", "TASK=$(")
FUND = Block("README.md", "/fund")
REPLAY = Block("README.md", "--traces")
ADMIN = Block("docs/admin.md", "/v1/admin/desk")
VERIFY = Block("docs/operations.md", "invariants verify")
EXPLAIN = Block("docs/operations.md", "explain-offer")
SERVE = Block("docs/operations.md", "hustlexp serve\n")
MAKE = (Block("README.md", "make demo\n"), Block("README.md", "make test\n"))
RUN = (DEV, LISTEN, POST, FUND, REPLAY, ADMIN, VERIFY, EXPLAIN, SERVE, *MAKE)
"""The page of each block that the tests below run, and some of its words."""


def block(wanted: Block) -> str:
    """The one block of a page that holds these words; a page that lost it fails here."""
    (found,) = [
        each.text for each in blocks() if each.page == wanted.page and wanted.text in each.text
    ]
    return found


def shown(page: str) -> dict[str, object]:
    """The first JSON that a page shows."""
    found = re.search(r"```json\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert found is not None
    answer: dict[str, object] = json.loads(found[1])
    return answer


class Newcomer:
    """A folder with a virtual environment and a running service, and the variables of its shell."""

    def __init__(self, folder: Path, service_process: ServiceProcess) -> None:
        self.folder = folder
        self.urls = service_process.urls
        self.variables: dict[str, str] = {}

    def as_here(self, text: str) -> str:
        """Only the port is another one than in the docs, and a client's heart beats sooner."""
        port = self.urls["url"].rpartition(":")[2]
        return text.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("sleep 20", "sleep 1")

    async def pastes(self, text: str) -> str:
        """What the commands print; the variables that they set stay set."""
        process = await self._started(f"{self.as_here(text)}\nexport -p >variables")
        out, err = await process.communicate()
        assert (process.returncode, err.decode()) == (0, ""), text
        self._keep()
        return out.decode()

    def _keep(self) -> None:
        said = (self.folder / "variables").read_text()
        names = ("HUSTLER", "POSTER", "TASK", "TOKEN", "HUSTLER_ID")
        for name in names:
            if found := re.search(
                rf"^(?:export|declare -x) {name}=['\"]?([^'\"\n]+)", said, re.MULTILINE
            ):
                self.variables[name] = found[1]

    async def _started(self, text: str, **environ: str) -> Process:
        return await asyncio.create_subprocess_exec(
            "sh", "-eua", "-c", text,
            cwd=self.folder, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE,
            env=clean_environment() | self.variables | environ, start_new_session=True,
        )  # fmt: skip

    @asynccontextmanager
    async def runs_on(self, text: str, **environ: str) -> AsyncIterator[Process]:
        """Commands that end by Ctrl-C: the process while the block runs."""
        process = await self._started(self.as_here(text), **environ)
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                # A client of others' in the pipe may miss it; how ours end is tried in test_ending.
                os.killpg(process.pid, signal.SIGKILL)


def clean_environment() -> dict[str, str]:
    """Without settings of ours."""
    return {name: text for name, text in os.environ.items() if not name.startswith("HX_")}


@pytest.fixture
async def newcomer(tmp_path: Path) -> AsyncIterator[Newcomer]:
    """Where `hustlexp dev` has just said that it is ready."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    async with ServiceProcess(tmp_path / ".hustlexp") as service_process:
        yield Newcomer(tmp_path, service_process)


async def hear(process: Process, *words: str) -> str:
    """The next line on a process's output that holds all these words."""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while line := (await process.stdout.readline()).decode():
            if all(word in line for word in words):
                return line
    raise AssertionError(f"ended without {words}")


def test_every_program_of_ours_is_called_in_one_form() -> None:
    """`.venv/bin/…`, which runs from the project's folder without anything activated."""
    for page, text in blocks():
        for line in text.splitlines():
            words = re.split(r"[\s|(;&]+", re.sub(r"'[^']*'", "", line))
            bare = OURS & set(words)
            assert not bare, f"{page}: {line}"


def test_every_make_target_that_the_readme_names_exists() -> None:
    """`make demo`, `make test` and the list of chores."""
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {block(each).split()[1] for each in MAKE}
    listed = re.search(r"lists the other chores: (.*?)\.", readme)
    assert listed is not None
    assert named | {"help"} | set(re.findall(r"`([a-z-]+)`", listed[1])) <= targets


def test_every_block_is_run_by_a_test() -> None:
    """Whoever adds one says below how it is run."""
    run = [block(each) for each in RUN]
    assert sorted(run) == sorted(each.text for each in blocks())


async def test_the_commands_of_the_docs_run_as_pasted(newcomer: Newcomer) -> None:
    """Beside the `hustlexp dev` of the README, each in a shell of its own."""
    await walk_to_an_offer(newcomer)
    await replay_recorded_traces(newcomer)
    admin_queries = json.loads(await newcomer.pastes(block(ADMIN)))
    assert admin_queries.keys() == shown("docs/admin.md").keys()
    assert "checks agree." in await newcomer.pastes(block(VERIFY))
    assert "eligible" in await newcomer.pastes(block(EXPLAIN))
    await serve_on_given_servers(newcomer)


async def walk_to_an_offer(newcomer: Newcomer) -> None:
    """A hustler's terminal that listens, a poster's that posts and funds; nothing typed between."""
    async with newcomer.runs_on(block(LISTEN)) as socket:
        await hear(socket, "LIVE_MODE_STATE_CHANGE", "ACTIVE")
        await newcomer.pastes(block(POST))
        escrow = json.loads(await newcomer.pastes(block(FUND)))
        assert escrow["state"] == "FUNDED"
        await hear(socket, "LIVE_TASK_BROADCAST", newcomer.variables["TASK"])
        await hear(socket, "PONG")
    # the line of the listening terminal that names its hustler
    first, _, _ = block(LISTEN).partition("\n")
    await newcomer.pastes(first)


async def replay_recorded_traces(newcomer: Newcomer) -> None:
    """One cab; Ctrl-C ends the run, which then says what it has read."""
    (newcomer.folder / "traces").mkdir()
    lines = [f"37.77{n % 10} -122.42 0 {1_211_018_404 + 10 * n}" for n in range(200)]
    (newcomer.folder / "traces" / "cab.txt").write_text("\n".join(lines))
    async with newcomer.runs_on(block(REPLAY)) as run:
        async with httpx.AsyncClient(base_url=newcomer.urls["url"]) as http, asyncio.timeout(20):
            while "hustlexp_sessions 0.0" in (await http.get("/metrics")).text:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)
        await hear(run, "fixes", "read 200")


async def serve_on_given_servers(newcomer: Newcomer) -> None:
    """`migrate` and `serve` with the two addresses in the environment."""
    given = {
        "HX_POSTGRES_DSN": newcomer.urls["postgres_dsn"],
        "HX_POSTGRES_OWNER_DSN": newcomer.urls["postgres_owner_dsn"],
        "HX_REDIS_URL": newcomer.urls["redis_url"],
        "HX_DEVELOPMENT": "true",
        "HX_DATA_DIR": str(newcomer.folder / ".hustlexp"),
        "HX_PORT": "0",
    }
    async with newcomer.runs_on(f"{{ {block(SERVE)}}} 2>&1", **given) as service:
        await hear(service, "serving")
