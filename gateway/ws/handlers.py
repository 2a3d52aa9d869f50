"""Handlers of the WebSocket requests: one per message type, with one place for refusals."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from engine.api.commands import Commands
from engine.api.queries import Queries
from engine.kernel import errors
from engine.kernel.errors import Refusal
from engine.kernel.ids import UserId
from engine.kernel.store import Store
from engine.live.views import LiveView
from gateway.contract import client, codec, server
from gateway.delivery import offer_responses
from gateway.delivery.hub import Hub
from gateway.identity.auth import MAY_WORK
from gateway.session.connection import Connection
from gateway.tracking.location_tracker import LocationTracker
from gateway.ws import error_mapping
from gateway.ws.session_opener import SessionOpener

Handler = Callable[[Connection, Any], Awaitable[None]]


class MessageHandlers:
    """Carries out the requests of sessions and writes their answers."""

    def __init__(
        self,
        *,
        hub: Hub,
        session_opener: SessionOpener,
        commands: Commands,
        queries: Queries,
        store: Store,
        location_tracker: LocationTracker,
    ) -> None:
        self._hub = hub
        self._session_opener = session_opener
        self._commands = commands
        self._queries = queries
        self._store = store
        self._location_tracker = location_tracker
        self._handlers: Final[Mapping[type, Handler]] = {
            client.Auth: self._join,
            client.SubscribeLiveMode: self._go_live,
            client.UnsubscribeLiveMode: self._end_live,
            client.UpdateLocation: self._move,
            client.RespondToBroadcast: self._respond,
            client.SubscribeTask: self._watch,
            client.UnsubscribeTask: self._unwatch,
            client.SubscribeCity: self._observe,
            client.UnsubscribeCity: self._unobserve,
        }

    def move_at_once(self, connection: Connection, message: client.UpdateLocation) -> bool:
        """Applies a position without the database; returns False when it must be asked first."""
        try:
            return self._location_tracker.move_at_once(_user(connection), message.data, connection)
        except Refusal as refusal:
            connection.session.refuse(refusal, message.id, time.monotonic())
            return True

    def left(self, connection: Connection) -> None:
        """Removes a closed socket from the tracker and the hub."""
        self._hub.left(connection)
        self._location_tracker.left(connection)

    def heard(self, connection: Connection) -> None:
        """Counts any frame as a heartbeat of the socket's hustler."""
        user = connection.session.user_id
        if user is not None:
            self._location_tracker.heard(user, connection)

    def read_on(self, connection: Connection) -> None:
        """Goes on with what was held back while the client had much unread."""
        self._hub.read_on(connection)

    async def answer(self, connection: Connection, message: client.ClientMessage) -> None:
        """Carries out one request and writes its answer; every exception becomes ERROR."""
        try:
            await self._handlers[type(message)](connection, message)
        except Exception as error:  # noqa: BLE001 - sorted below, once for all handlers
            connection.session.refuse(
                error_mapping.refusal_for(error), message.id, time.monotonic()
            )
        connection.flush()

    async def _join(self, connection: Connection, message: client.Auth) -> None:
        again = connection.session.user_id is not None
        snapshot = await self._session_opener.open(connection, message)
        # a fresh token is no wish to be the position's source
        if snapshot is not None and snapshot.live.state != "OFF" and not again:
            self._location_tracker.returned(UserId(snapshot.user_id), connection)

    # ── LIVE mode ────────────────────────────────────────────────────────────────────────────────

    async def _go_live(self, connection: Connection, message: client.SubscribeLiveMode) -> None:
        await self._location_tracker.go_live(_hustler(connection), message.data, connection)
        await self._send_live_state(connection, message.id)

    async def _end_live(self, connection: Connection, message: client.UnsubscribeLiveMode) -> None:
        await self._location_tracker.end_live(_hustler(connection), "MANUAL")
        await self._send_live_state(connection, message.id)

    async def _send_live_state(self, connection: Connection, ref: client.Reference | None) -> None:
        """Sends the answer, and the same without `id` to the user's other sockets."""
        user = _user(connection)
        change = _live_change(await self._queries.live.state(user))
        connection.session.reply("LIVE_MODE_STATE_CHANGE", change, ref)
        self._hub.registry.send(
            user, codec.encode("LIVE_MODE_STATE_CHANGE", change), but=connection
        )

    async def _move(self, connection: Connection, message: client.UpdateLocation) -> None:
        await self._location_tracker.move(_hustler(connection), message.data, connection)

    # ── Offers ───────────────────────────────────────────────────────────────────────────────────

    async def _respond(self, connection: Connection, message: client.RespondToBroadcast) -> None:
        """The outcome is the one REST would tell; close messages wait for it (`ShownCards`)."""
        session = connection.session
        answer = message.data
        session.cards.answering(answer.broadcast_id)
        try:
            response = await offer_responses.respond(
                self._commands, self._queries, self._hub, _hustler(connection), answer
            )
        except Exception as error:  # noqa: BLE001 - as in `answer`
            refusal = error_mapping.refusal_for(error)
            session.answer_refused(answer.broadcast_id, refusal, message.id, time.monotonic())
            return
        session.answered(response, message.id)
        if not session.cards.awaits_end(answer.broadcast_id):
            self._hub.cards.untrack(connection, answer.broadcast_id)

    # ── Tasks ────────────────────────────────────────────────────────────────────────────────────

    async def _watch(self, connection: Connection, message: client.SubscribeTask) -> None:
        status = await self._status(connection, message.data.task_id)
        if not self._hub.registry.watch(connection, message.data.task_id):
            raise errors.refusal("RATE_LIMITED", message="This socket watches too many tasks.")
        connection.session.reply("TASK_STATUS_UPDATE", status, message.id)

    async def _unwatch(self, connection: Connection, message: client.UnsubscribeTask) -> None:
        self._hub.registry.unwatch(connection, message.data.task_id)
        status = await self._status(connection, message.data.task_id)
        connection.session.reply("TASK_STATUS_UPDATE", status, message.id)

    async def _status(self, connection: Connection, task_id: object) -> server.TaskStatus:
        """Returns the state of a task that the user may see; NOT_FOUND for any other."""
        return await self._store.found(server.TaskStatus, "task_status", _user(connection), task_id)

    # ── City ─────────────────────────────────────────────────────────────────────────────────────

    async def _observe(self, connection: Connection, _: client.SubscribeCity) -> None:
        await self._queries.people.require_admin(_user(connection))
        self._hub.registry.observe(connection, wanted=True)

    async def _unobserve(self, connection: Connection, _: client.UnsubscribeCity) -> None:
        self._hub.registry.observe(connection, wanted=False)


def _user(connection: Connection) -> UserId:
    user = connection.session.user_id
    if user is None:
        raise errors.refusal("HX501", "TOKEN-MISSING")
    return user


def _hustler(connection: Connection) -> UserId:
    """Returns the user, who must have a role that may work, as REST requires."""
    user = _user(connection)
    if connection.session.role not in MAY_WORK:
        raise errors.refusal("HX503", "PERMISSION")
    return user


def _live_change(live: LiveView) -> server.LiveModeChange:
    return server.LiveModeChange(live.state, live.reason, live.ends_at)
