"""A client that knows only the contract: one socket, resumed by `last_seq`, and what it was sent.

It does no more than it must: after a reconnect it says AUTH and nothing else, so what the service
restores by itself is seen.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from typing import Any, Self

import websockets

ANSWER_S = 4.0
PING_S = 1.0


class SocketClient:
    """One user's socket, reconnecting every 0.1 s for as long as it is open."""

    def __init__(self, ws_url: str, token: str, user_id: str) -> None:
        self.user_id = user_id
        self.seqs: list[int] = []
        self.events: list[dict[str, Any]] = []
        self.cards: Counter[str] = Counter()
        """LIVE_TASK_BROADCAST messages by broadcast id, over all sockets."""
        self.known: set[str] = set()
        """Broadcasts seen on a card or in a WELCOME."""
        self.screen: set[str] = set()
        """Broadcasts whose card stands on the present socket."""
        self.over: set[str] = set()
        """Broadcasts whose card was taken off because they had ended."""
        self.wrong: list[str] = []
        """Cards that should not have come."""
        self._url = ws_url
        self.token = token
        self._ids = itertools.count()
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._socket: websockets.ClientConnection | None = None
        self._welcomed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        await asyncio.wait_for(self._welcomed.wait(), 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def is_welcome(self) -> bool:
        """Whether the present socket has got its WELCOME."""
        return self._welcomed.is_set()

    async def ask(self, kind: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask until there is an answer that is not "try again": commands are safe to repeat."""
        while True:
            reference = str(next(self._ids))
            answer = self._answers[reference] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._welcomed.wait()
                    await self._send({"type": kind, "id": reference, "data": data or {}})
                    reply: dict[str, Any] = await answer
            except (TimeoutError, websockets.ConnectionClosed):
                continue
            if reply["type"] == "ERROR" and reply["data"]["retryable"]:
                await asyncio.sleep(0.1)
                continue
            return reply

    async def _send(self, message: dict[str, Any]) -> None:
        if self._socket is None:
            raise TimeoutError
        await self._socket.send(json.dumps(message))

    async def _run(self) -> None:
        while True:
            try:
                async with websockets.connect(
                    self._url, open_timeout=5, close_timeout=0.1
                ) as socket:
                    await self._converse(socket)
            except (OSError, websockets.WebSocketException, TimeoutError, EOFError):
                pass
            self._welcomed.clear()
            self._socket = None
            await asyncio.sleep(0.1)

    async def _converse(self, socket: websockets.ClientConnection) -> None:
        hello: dict[str, Any] = {"token": self.token}
        if self._task is not None and (self.seqs or self.events):
            hello["last_seq"] = self.seqs[-1] if self.seqs else 0
        else:
            hello["last_seq"] = 0
        await socket.send(json.dumps({"type": "AUTH", "data": hello}))
        self._socket = socket
        while True:
            try:
                async with asyncio.timeout(PING_S):
                    text = await socket.recv()
            except TimeoutError:
                await socket.send('{"type": "PING"}')
                continue
            self._heard(json.loads(text))

    def _heard(self, message: dict[str, Any]) -> None:
        data = message.get("data") or {}
        if "seq" in message:
            self.seqs.append(message["seq"])
            self.events.append(message)
        if message["type"] == "WELCOME":
            self.screen = {offer["broadcast_id"] for offer in data["offers"]}
            self.wrong += [f"{broadcast} over, in WELCOME" for broadcast in self.screen & self.over]
            self.known |= self.screen
            self._welcomed.set()
        if message["type"] == "LIVE_TASK_BROADCAST":
            self._carded(data["broadcast_id"])
        if message["type"] == "LIVE_TASK_UNAVAILABLE":
            self.screen.discard(data["broadcast_id"])
            if data["reason"] != "WITHDRAWN":
                self.over.add(data["broadcast_id"])
        waiting = self._answers.pop(message.get("id", ""), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _carded(self, broadcast: str) -> None:
        if broadcast in self.over:
            self.wrong.append(f"{broadcast} over")
        if broadcast in self.known:
            self.wrong.append(f"{broadcast} twice")
        self.cards[broadcast] += 1
        self.known.add(broadcast)
        self.screen.add(broadcast)
