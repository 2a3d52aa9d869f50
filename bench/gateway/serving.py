"""The loop of a server under measurement: commands in, one line of JSON out for each.

Free of everything else of the project, so that a peer's own interpreter can run it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping


def tell(answer: object) -> None:
    """Writes one answer."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def obey(port: int, commands: Mapping[str, Callable[[int], Awaitable[object]]]) -> None:
    """Tells the port, and answers `word number` until the input ends."""
    tell({"port": port})
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    while line := (await lines.readline()).decode():
        word, _, number = line.strip().partition(" ")
        tell(await commands[word](int(number or 0)))
