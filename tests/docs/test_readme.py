"""The README's commands, run as they stand there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import websockets

from tests.crash.rig import Rig

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    """Every shell command, continued lines joined."""
    text = "\n".join(blocks("sh"))
    return [c.strip() for c in re.split(r"\n(?=\S)(?!\s*\")", text) if c.strip()]


def one(start: str) -> list[str]:
    """The commands that begin so; a README that lost them fails here."""
    found = [command for command in commands() if command.startswith(start)]
    assert found, start
    return found


async def run(command: str, **environment: str) -> str:
    """What a shell prints; `hustlexp` is this interpreter's, whatever folder it is installed in."""
    ours = command.replace(".venv/bin/hustlexp", f"{shlex.quote(sys.executable)} -m gateway.cli")
    process = await asyncio.create_subprocess_shell(
        ours, stdout=PIPE, stderr=PIPE, env={**os.environ, **environment}
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (command, err.decode())
    return out.decode().strip()


def test_every_make_target_that_the_readme_names_exists() -> None:
    """`make demo`, `make test` and the list of chores."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {c.split()[1] for c in commands() if c.startswith("make ")} | {"help"}
    listed = re.search(r"lists the other chores: (.*?)\.", README)
    assert listed is not None
    assert {"demo", "test"} <= named
    assert named | set(re.findall(r"`([a-z-]+)`", listed[1])) <= targets


async def test_the_readme_walk_ends_with_an_offer_on_the_socket(tmp_path: Path) -> None:
    """Token for each side, AUTH and SUBSCRIBE as printed, post and fund by curl, the card."""
    async with Rig(tmp_path / "service") as rig:
        folder = f" --data-dir {shlex.quote(str(tmp_path / 'service'))}"
        poster, hustler = [
            await run(command + folder) for command in one(".venv/bin/hustlexp token")
        ]
        frames = [json.loads(line) for line in blocks("json")[0].splitlines()]
        frames[0]["data"]["token"] = hustler
        async with websockets.connect(rig.urls["ws_url"]) as socket:
            for frame in frames:
                await socket.send(json.dumps(frame))
            await hear(socket, "LIVE_MODE_STATE_CHANGE")

            post, fund = [c.replace("localhost:8000", rig.urls["url"]) for c in blocks_of_curl()]
            task = json.loads(await run(post, POSTER=poster))
            assert task["state"] == "MATCHING"
            escrow = json.loads(await run(fund, POSTER=poster, TASK=task["id"]))
            assert escrow["state"] == "FUNDED"
            card = await hear(socket, "LIVE_TASK_BROADCAST")
            assert card["data"]["task"]["id"] == task["id"]


def blocks_of_curl() -> list[str]:
    """The two calls of the block that uses curl."""
    (block,) = [block for block in blocks("sh") if block.startswith("curl")]
    post, fund = block.split("\ncurl")
    return [post, f"curl{fund}"]


async def hear(socket: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message
