"""A response of unknown length that is written part by part, no faster than its reader reads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

GONE_EVERY_S: Final = 1.0
"""How often a caller who says no more is looked after: an end of sending wakes nobody."""

Write = Callable[[bytes], Awaitable[None]]
"""Sends a part; returns when the connection has room for the next."""
Writer = Callable[[Write], Awaitable[None]]
"""Writes the whole answer; is cancelled when the caller hangs up."""


class Streaming(Response):
    """Runs a writer until it returns or the caller hangs up, whichever is first."""

    def __init__(self, write_to: Writer, content_type: str, headers: Mapping[str, str]) -> None:
        self._write_to = write_to
        self.status_code = HTTPStatus.OK
        self.media_type = content_type
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        if scope["method"] != "HEAD":
            await self._write(receive, send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, receive: Receive, send: Send) -> None:
        async def write(part: bytes) -> None:
            await send({"type": "http.response.body", "body": part, "more_body": True})

        writing = asyncio.ensure_future(self._write_to(write))
        leaving = asyncio.create_task(_hung_up(receive))
        try:
            await asyncio.wait((writing, leaving), return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                await writing
        finally:
            writing.cancel()
            leaving.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    """Returns when the caller has closed the connection, or its half of it."""
    while True:
        try:
            async with asyncio.timeout(GONE_EVERY_S):
                message = await receive()
        except TimeoutError:
            continue
        if message["type"] == "http.disconnect":
            return
