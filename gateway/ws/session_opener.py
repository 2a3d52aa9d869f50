"""AUTH: verifies the token, replays missed events and sends WELCOME (design §7)."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

from engine.events.views import Snapshot
from engine.kernel import errors
from engine.kernel.ids import UserId
from gateway.contract import client, close_codes, limits, problems
from gateway.delivery.hub import Hub
from gateway.delivery.missed_events import MissedEvents
from gateway.delivery.snapshots import Snapshots
from gateway.identity import revocation, security_log
from gateway.identity.auth import Authenticator, Caller
from gateway.identity.rates import Rates
from gateway.identity.revocation import Unauthenticated
from gateway.metrics.sessions import SessionMetrics
from gateway.session.connection import Connection
from gateway.session.session import Phase, durable
from gateway.ws import error_mapping


class SessionOpener:
    """Opens sessions, and refreshes the tokens of open ones."""

    def __init__(
        self,
        *,
        hub: Hub,
        authenticator: Authenticator,
        snapshots: Snapshots,
        missed_events: MissedEvents,
        metrics: SessionMetrics,
        rates: Rates,
    ) -> None:
        self._hub = hub
        self._authenticator = authenticator
        self._snapshots = snapshots
        self._missed_events = missed_events
        self._metrics = metrics
        self._rates = rates

    async def open(self, connection: Connection, message: client.Auth) -> Snapshot | None:
        """Authenticates, registers, replays and welcomes a socket; returns its snapshot.

        In this order, so that no push is missed. None when the session was refused or the socket
        has closed.
        """
        session = connection.session
        again = session.user_id is not None
        try:
            await self._authenticate(connection, message)
            if session.ending is not None or session.user_id is None:
                return None
            snapshot = await self._snapshots.read(session.user_id)
            last_seq = session.order.written if again else message.data.last_seq
            await self._replay(connection, snapshot, last_seq)
        except Exception as error:  # noqa: BLE001 - whatever it was, no session hangs half open
            refusal = error_mapping.refusal_for(error)
            if session.phase is Phase.OPEN and refusal.kind.retryable:
                session.refuse(refusal, message.id, time.monotonic())  # the token of before holds
            else:
                session.not_joined(refusal, message.id, time.monotonic())
            return None
        if connection.gone:
            return None
        self._hub.welcome(connection, snapshot, message.id)
        return snapshot

    async def _authenticate(self, connection: Connection, message: client.Auth) -> None:
        session = connection.session
        token = message.data.token or session.header_token
        if token is None:
            raise revocation.missing()
        caller = await self._caller(connection, token)
        if connection.gone:
            return  # the socket was removed already: nothing would unregister it again
        unauthenticated = session.user_id is None
        if not session.authenticated(caller, message.id, time.monotonic()):
            return
        if unauthenticated:
            self._hub.registry.joined(connection)
        # a token that was revoked while it was being looked up is found by the look at newcomers
        self._hub.registry.unchecked.add(caller.user_id)

    async def _caller(self, connection: Connection, token: str) -> Caller:
        """Returns the user of a token; refused tokens count against the client's address."""
        try:
            return await self._authenticator.user(token)
        except Unauthenticated as refusal:
            if problems.status_of(refusal) == HTTPStatus.UNAUTHORIZED:
                await self._brake(connection)
            address = connection.address
            security_log.auth_failed(reason=refusal.why, channel="socket", address=address)
            raise

    async def _brake(self, connection: Connection) -> None:
        """Raises RATE_LIMITED, late, for an address that has sent too many bad tokens."""
        try:
            self._rates.spend_address(connection.address)
        except errors.Refusal:
            await asyncio.sleep(limits.BAD_AUTH_WAITS_S)
            connection.session.end(close_codes.FLOOD)
            raise

    async def _replay(
        self, connection: Connection, snapshot: Snapshot, last_seq: int | None
    ) -> None:
        """Writes what the client missed, page by page as it reads, up to the snapshot's point."""
        session = connection.session
        user = UserId(snapshot.user_id)
        after = session.begin(snapshot.last_seq, last_seq)
        how = "new" if last_seq is None else "resumed"
        while after is not None:
            events = await self._missed_events.after(user, after)
            if not events or events[0].seq != after + 1:
                session.resync("TOO_OLD")
                how = "resync"
                break
            self._metrics.events_replayed(len(events))
            if session.replay((event, durable(event)) for event in events):
                break
            after = session.order.written
            await connection.drain()
            if connection.gone:
                return
        if last_seq is not None and last_seq > snapshot.last_seq:
            how = "resync"
        self._metrics.started(how)
