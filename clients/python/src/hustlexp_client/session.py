"""One user's WebSocket session: reconnects, resumes by `last_seq`, and yields each event once.

    async with Session("ws://127.0.0.1:8000/ws", token) as session:
        await session.go_live(44.97, -124.0)
        async for message in session:
            match message.body:
                case Offer() as offer:
                    outcome = await session.respond(offer.broadcast_id, "ACCEPT")

Reconnecting, resuming by `last_seq`, heartbeats and dropping duplicates happen inside.
A gap in `seq` is never silent: it is yielded as a `Gap` message and counted.
Requests wait through a reconnect and are sent again: every command of the contract is safe to
repeat, because repeating what was achieved answers the same.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from types import TracebackType
from typing import Self
from uuid import UUID

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from hustlexp_client import outgoing
from hustlexp_client.counts import Counts
from hustlexp_client.decoding import decode
from hustlexp_client.messages import (
    Gap,
    LiveState,
    Message,
    Outcome,
    Pong,
    Problem,
    Resync,
    Welcome,
)
from hustlexp_client.opening import FAILURES, after_failure, open_socket
from hustlexp_client.reconnect import Step, after_close, delay_s
from hustlexp_client.refused import NoAnswer, Overrun, Refused, SentAway

TokenSource = str | Callable[[], Awaitable[str]]
"""A token, or how to get a fresh one (asked again when the server wants a fresh AUTH)."""

WELCOME_TIMEOUT_S = 15.0
MAX_UNREAD = 10_000


@dataclass(slots=True)
class _Pending:
    frame: str
    answer: asyncio.Future[Message]


class Session:
    """A reconnecting session; open it with `async with`, iterate over it for messages.

    `last_seq` resumes where an earlier session of the same user ended; without it the session
    starts at the user's present. Randomness (jitter) comes from `rng`.
    """

    def __init__(
        self,
        ws_url: str,
        token: TokenSource,
        *,
        last_seq: int | None = None,
        rng: Random | None = None,
    ) -> None:
        self._url = ws_url
        self._token_source = token
        self._token = token if isinstance(token, str) else None
        self._rng = rng or Random()
        self._ids = itertools.count(1)
        self._unread: asyncio.Queue[Message | None] = asyncio.Queue()
        self._pending: dict[str, _Pending] = {}
        self._socket: ClientConnection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._welcomed = asyncio.Event()
        self._ended: BaseException | None = None
        self._live: outgoing.Data | None = None
        self._server_ahead = timedelta()
        self._pinged_at: float | None = None
        self.last_seq = last_seq
        self.counts = Counts()

    # Lifecycle

    async def __aenter__(self) -> Self:
        self._runner = asyncio.create_task(self._run(), name="client session")
        self._runner.add_done_callback(self._ran)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection (1000) and stops reconnecting; unread messages stay readable."""
        if self._runner is not None and not self._runner.done():
            self._runner.cancel()
            await asyncio.wait([self._runner])

    @property
    def connected(self) -> bool:
        """Returns whether a welcomed connection is open right now."""
        return self._socket is not None and self._welcomed.is_set()

    async def ready(self, timeout_s: float = 30.0) -> None:
        """Returns after the server's WELCOME; raises `NoAnswer` or why the session ended."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._welcomed.wait()
        except TimeoutError:
            raise NoAnswer(f"no WELCOME within {timeout_s:g} s") from None
        if self._ended is not None:
            raise self._ended

    def server_now(self) -> datetime:
        """Returns the server's time, estimated from the last WELCOME."""
        return datetime.now(UTC) + self._server_ahead

    def drop(self) -> None:
        """Cuts the connection without a close frame, as a tunnel does; the session reconnects."""
        if self._socket is not None:
            self._socket.transport.abort()

    # Reading

    def __aiter__(self) -> AsyncIterator[Message]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Message]:
        while (message := await self._unread.get()) is not None:
            yield message
        self._unread.put_nowait(None)
        if self._ended is not None:
            raise self._ended

    # Commands

    async def request(
        self, kind: str, data: outgoing.Data | None = None, *, timeout_s: float = 15.0
    ) -> Message:
        """Sends a message and returns the reply that repeats its id.

        Retryable refusals are tried again until the time-out. Raises `Refused`, `NoAnswer`
        (the command may have worked: repeat it) or why the session ended.
        """
        deadline = time.monotonic() + timeout_s
        for attempt in itertools.count():
            answer = await self._ask(kind, data, deadline - time.monotonic())
            if not isinstance(answer.body, Problem):
                return answer
            problem = answer.body
            wait_s = problem.retry_after_seconds or delay_s(Step.BACK_OFF, attempt, self._rng)
            if not problem.retryable or time.monotonic() + wait_s >= deadline:
                raise Refused(
                    problem.code,
                    problem.message,
                    invariant=problem.invariant,
                    retryable=problem.retryable,
                    retry_after_s=problem.retry_after_seconds,
                )
            await asyncio.sleep(wait_s)
        raise AssertionError("count() never ends")

    async def _ask(self, kind: str, data: outgoing.Data | None, timeout_s: float) -> Message:
        if self._runner is None or self._runner.done():
            raise self._ended or NoAnswer("the session is not open")
        reference = str(next(self._ids))
        frame = outgoing.encode(kind, data, reference)
        pending = _Pending(frame, asyncio.get_running_loop().create_future())
        self._pending[reference] = pending
        try:
            if self.connected:
                await self._write(frame)
            async with asyncio.timeout(timeout_s):
                return await pending.answer
        except TimeoutError:
            raise NoAnswer(f"{kind}: no answer within {timeout_s:.1f} s") from None
        finally:
            del self._pending[reference]

    async def tell(self, kind: str, data: outgoing.Data | None = None) -> str | None:
        """Sends a message that has no answer; returns its id, or None when not connected.

        An ERROR to it is yielded by the iteration and carries that id.
        """
        if not self.connected:
            return None
        reference = str(next(self._ids))
        return reference if await self._write(outgoing.encode(kind, data, reference)) else None

    async def go_live(
        self,
        lat: float,
        lng: float,
        *,
        radius_miles: float | None = None,
        categories: list[str] | None = None,
        at: datetime | None = None,
        timeout_s: float = 15.0,
    ) -> LiveState:
        """Starts receiving offers from here, over reconnects too, until `go_off`.

        `at` is when the device measured the position; later positions must not be older.
        """
        data = outgoing.go_live((lat, lng), at or self.server_now(), radius_miles, categories)
        reply = await self.request("SUBSCRIBE_LIVE_MODE", data, timeout_s=timeout_s)
        assert isinstance(reply.body, LiveState)
        self._live = data if reply.body.state == "ACTIVE" else None
        return reply.body

    async def go_off(self) -> LiveState:
        """Stops receiving offers; returns the new state."""
        self._live = None
        reply = await self.request("UNSUBSCRIBE_LIVE_MODE")
        assert isinstance(reply.body, LiveState)
        return reply.body

    async def move(self, lat: float, lng: float, at: datetime | None = None) -> str | None:
        """Reports a position; returns the message's id, or None if not connected.

        `at` defaults to now on the server's clock.
        """
        moved = outgoing.moved((lat, lng), at or self.server_now())
        if self._live is not None:
            self._live |= moved
        return await self.tell("UPDATE_LOCATION", moved)

    async def respond(
        self,
        broadcast_id: UUID,
        response: outgoing.Response,
        decline_reason: str | None = None,
    ) -> Outcome:
        """Answers an offer; the returned outcome says whether it was won."""
        data = outgoing.answer(broadcast_id, response, decline_reason)
        reply = await self.request("RESPOND_TO_BROADCAST", data)
        assert isinstance(reply.body, Outcome)
        return reply.body

    # Connecting and reconnecting

    async def _run(self) -> None:
        step, failures = Step.AT_ONCE, 0
        while True:
            if self.counts.connects or failures:
                await asyncio.sleep(delay_s(step, failures, self._rng))
            welcomed = self.counts.connects
            step, ended_by = await self._connect_once(fresh=step is Step.FRESH_AUTH)
            failures = 0 if self.counts.connects > welcomed else failures + 1
            if step is Step.STOP:
                raise ended_by

    async def _connect_once(self, *, fresh: bool) -> tuple[Step, Exception]:
        """Runs one connection from handshake to close; returns the next step and why it ended."""
        try:
            token = await self._take_token(fresh=fresh)
            socket = await open_socket(self._url)
        except FAILURES as error:
            return after_failure(error), error
        async with socket:
            self._socket = socket
            try:
                auth = outgoing.credentials(token, self.last_seq)
                await socket.send(outgoing.encode("AUTH", auth))
                await self._converse(socket)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                reason = closed.rcvd.reason if closed.rcvd else "connection lost"
                return after_close(code), SentAway(code, reason)
            except TimeoutError as error:
                socket.transport.abort()
                return Step.AT_ONCE, error
            finally:
                self._socket = None
                self._welcomed.clear()
        raise AssertionError("_converse ends only by an exception")

    async def _take_token(self, *, fresh: bool) -> str:
        if self._token is None or (fresh and not isinstance(self._token_source, str)):
            assert not isinstance(self._token_source, str)
            self._token = await self._token_source()
        return self._token

    async def _converse(self, socket: ClientConnection) -> None:
        """Reads until the connection ends; a heartbeat left unanswered for a period ends it too."""
        heartbeat_s: float | None = None
        next_heartbeat = time.monotonic() + WELCOME_TIMEOUT_S
        while True:
            try:
                async with asyncio.timeout(next_heartbeat - time.monotonic()):
                    frame = await socket.recv()
            except TimeoutError:
                if heartbeat_s is None or self._pinged_at is not None:
                    raise
                self._pinged_at = time.monotonic()
                next_heartbeat = self._pinged_at + heartbeat_s
                await socket.send(outgoing.encode("PING"))
                continue
            message = decode(frame)
            if isinstance(message.body, Welcome):
                heartbeat_s = message.body.heartbeat_seconds
                # The first beat at a random fraction keeps a crowd that reconnected together apart.
                next_heartbeat = time.monotonic() + heartbeat_s * self._rng.random()
                self._pinged_at = None
                await self._greet(message.body)
            self._take(message)

    async def _greet(self, welcome: Welcome) -> None:
        self.counts.reconnects += self.counts.connects > 0
        self.counts.connects += 1
        if self.last_seq is None:
            self.last_seq = welcome.last_seq
        self._server_ahead = welcome.server_time - datetime.now(UTC)
        self._welcomed.set()
        for pending in list(self._pending.values()):
            await self._write(pending.frame)
        if self._live is not None:
            if welcome.live.state == "ACTIVE":
                await self._write(
                    outgoing.encode("SUBSCRIBE_LIVE_MODE", self._live, str(next(self._ids)))
                )
            else:
                self._live = None

    def _take(self, message: Message) -> None:
        """Routes one message: replies to their request, everything else to the iteration."""
        pending = self._pending.get(message.id) if message.id is not None else None
        if pending is not None and not pending.answer.done():
            pending.answer.set_result(message)
        if message.seq is not None:
            if self.last_seq is not None and message.seq <= self.last_seq:
                self.counts.duplicates += 1
                return
            if self.last_seq is not None and message.seq > self.last_seq + 1:
                self.counts.gaps += 1
                self._deliver(Message("GAP", Gap(self.last_seq, message.seq)))
            self.last_seq = message.seq
        elif pending is not None:
            return
        match message.body:
            case Pong():
                if self._pinged_at is not None:
                    self.counts.round_trips_s.append(time.monotonic() - self._pinged_at)
                self._pinged_at = None
                return
            case Resync():
                self.counts.resyncs += 1
                self.last_seq = None
            case LiveState(state=state) if state != "ACTIVE":
                self._live = None
            case _:
                pass
        self._deliver(message)

    def _deliver(self, message: Message) -> None:
        if self._unread.qsize() >= MAX_UNREAD:
            raise Overrun(f"{MAX_UNREAD} messages unread")
        self._unread.put_nowait(message)

    async def _write(self, frame: str) -> bool:
        """Writes to the open socket; returns False when it has gone (the reader reconnects)."""
        socket = self._socket
        if socket is None:
            return False
        try:
            await socket.send(frame)
        except ConnectionClosed:
            return False
        return True

    def _ran(self, runner: asyncio.Task[None]) -> None:
        """Ends the session: hands the reason to every waiter."""
        self._ended = None if runner.cancelled() else runner.exception()
        closed = self._ended or NoAnswer("the session was closed")
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(closed)
        self._welcomed.set()  # wakes `ready`, which then raises why
        self._unread.put_nowait(None)
