"""Registry of the open sockets of this process: by user, by address, by watched task."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from uuid import UUID

from engine.kernel import errors
from engine.kernel.ids import UserId
from gateway.contract import close_codes, limits
from gateway.delivery.poller import Poller
from gateway.identity import security_log
from gateway.metrics.sessions import SessionMetrics
from gateway.session.connection import Connection
from gateway.session.session import Phase


class UserConnections:
    """The sockets and the long poll of one user."""

    __slots__ = ("poller", "sockets")

    def __init__(self) -> None:
        self.sockets: list[Connection] = []
        """Authenticated sockets, oldest first."""
        self.poller: Poller | None = None


class ConnectionRegistry:
    """Index of user → sockets and long poll, task → watchers, and unauthenticated sockets."""

    def __init__(self, metrics: SessionMetrics) -> None:
        self._metrics = metrics
        self._users: dict[UserId, UserConnections] = {}
        self._sockets: set[Connection] = set()
        self._waiting = 0
        """Sockets that have not authenticated yet."""
        self._unauthenticated: Counter[str] = Counter()
        """The same by address."""
        self._watching: defaultdict[UUID, set[Connection]] = defaultdict(set)
        self._observing: set[Connection] = set()
        self.unchecked: set[UserId] = set()
        """Users with a socket or long poll that is newer than the last look at their standing."""

    # ── Sockets ──────────────────────────────────────────────────────────────────────────────────

    def opened(self, connection: Connection) -> None:
        """Adds a socket that is not authenticated yet."""
        self._sockets.add(connection)
        self._unauthenticated[connection.address] += 1
        self._waiting += 1

    @property
    def full(self) -> bool:
        """Whether the process has its maximum of unauthenticated sockets."""
        return (
            self._waiting >= limits.MAX_UNAUTHENTICATED or len(self._sockets) >= limits.MAX_SOCKETS
        )

    def full_for(self, address: str) -> bool:
        """Returns whether this address has its maximum of unauthenticated sockets."""
        return self._unauthenticated[address] >= limits.MAX_UNAUTHENTICATED_PER_ADDRESS

    def joined(self, connection: Connection) -> None:
        """Adds an authenticated socket to its user's; from here on it receives every push.

        Of a user who opens too many, the socket that has been silent for longest is closed: a phone
        that changed its network leaves sockets that nobody holds any more.
        """
        user = connection.session.user_id
        assert user is not None
        self._authenticated(connection)
        self._metrics.connected()
        sockets = self.of(user).sockets
        sockets.append(connection)
        self.unchecked.add(user)
        open_ones = [known for known in sockets if not known.gone]
        if len(open_ones) > limits.SOCKETS_PER_USER:
            silent = min(open_ones[:-1], key=lambda known: known.session.heard_at)
            silent.session.end(close_codes.TOO_MANY_SOCKETS)
            silent.flush()

    def left(self, connection: Connection) -> None:
        """Removes a closed socket."""
        self._sockets.discard(connection)
        self._observing.discard(connection)
        for task_id in tuple(connection.session.watched):
            self.unwatch(connection, task_id)
        if connection.cut_for == "slow":
            self._metrics.slow_socket_dropped()
        user = connection.session.user_id
        if user is None:
            self._authenticated(connection)
            return
        self._metrics.disconnected()
        self._users[user].sockets.remove(connection)
        self._forget_if_gone(user)

    def __iter__(self) -> Iterator[Connection]:
        """Iterates over a copy of all open sockets, authenticated or not."""
        return iter(tuple(self._sockets))

    def __len__(self) -> int:
        """Returns the number of open sockets, authenticated or not."""
        return len(self._sockets)

    # ── Users ────────────────────────────────────────────────────────────────────────────────────

    def connected(self) -> Collection[UserId]:
        """Users who can be reached now, by a socket or a long poll."""
        return self._users.keys()

    def user(self, user: UserId) -> UserConnections | None:
        """Returns the user's connections; None for a user without any."""
        return self._users.get(user)

    def of(self, user: UserId) -> UserConnections:
        """Returns the user's connections, created where there are none yet."""
        return self._users.setdefault(user, UserConnections())

    def sockets(self, user: UserId) -> Sequence[Connection]:
        """Returns the user's authenticated sockets, oldest first."""
        connections = self._users.get(user)
        return connections.sockets if connections else ()

    def pollers(self) -> Iterable[tuple[UserId, Poller]]:
        """Copy of the users with long polls, each with its poller."""
        return [
            (user, connections.poller)
            for user, connections in self._users.items()
            if connections.poller is not None
        ]

    def forget_poller(self, user: UserId) -> None:
        """Removes the user's long polls."""
        self._users[user].poller = None
        self._forget_if_gone(user)

    def send(
        self,
        user: UserId,
        payload: bytes,
        *,
        but: Connection | None = None,
        volatile: bool = False,
    ) -> None:
        """Writes a message that is not durable to the user's open sessions.

        A volatile one, which the next replaces, is not put behind what a client has not read yet.
        """
        for connection in self.sockets(user):
            if connection is but or (volatile and connection.lags):
                continue
            if connection.session.phase is Phase.OPEN:
                connection.session.outbox.append(payload)
                connection.flush()

    def shut_out(
        self,
        user: UserId,
        code: close_codes.CloseCode,
        refusal: Callable[[], errors.Refusal],
        issued_until: float,
    ) -> None:
        """Ends the user's sockets, streams and long polls whose token is not newer than that.

        `issued_until` in Unix seconds.
        """
        open_ones = [
            c for c in self.sockets(user) if c.session.issued_at <= issued_until and not c.gone
        ]
        for connection in open_ones:
            connection.session.end(code)
            connection.flush()
        connections = self._users.get(user)
        poller = connections.poller if connections is not None else None
        polls = poller.refuse(code, refusal, issued_until) if poller is not None else 0
        if open_ones or polls:
            security_log.session_revoked(
                user=user, reason=code.name, sockets=len(open_ones), polls=polls
            )

    # ── Watchers ─────────────────────────────────────────────────────────────────────────────────

    def watch(self, connection: Connection, task_id: UUID) -> bool:
        """Subscribes the socket to a task's steps; returns False when it watches too many."""
        watched = connection.session.watched
        if task_id not in watched and len(watched) >= limits.MAX_WATCHED_TASKS:
            return False
        if connection.gone:
            return True
        watched.add(task_id)
        self._watching[task_id].add(connection)
        return True

    def unwatch(self, connection: Connection, task_id: UUID) -> None:
        """Ends the socket's subscription to a task's steps."""
        connection.session.watched.discard(task_id)
        watching = self._watching.get(task_id)
        if watching is not None:
            watching.discard(connection)
            if not watching:
                del self._watching[task_id]

    def watchers(self, task_id: UUID) -> Sequence[Connection]:
        """Returns a copy of the sockets that watch a task."""
        return tuple(self._watching.get(task_id, ()))

    def observe(self, connection: Connection, wanted: bool) -> None:  # noqa: FBT001 - on or off
        """Subscribes the socket to CITY frames, or unsubscribes it."""
        if wanted and not connection.gone:
            self._observing.add(connection)
        else:
            self._observing.discard(connection)

    @property
    def observers(self) -> Collection[Connection]:
        """Sockets that get CITY frames."""
        return self._observing

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────

    def _authenticated(self, connection: Connection) -> None:
        """Frees the socket's slot among the unauthenticated ones."""
        self._waiting -= 1
        self._unauthenticated[connection.address] -= 1
        if not self._unauthenticated[connection.address]:
            del self._unauthenticated[connection.address]

    def _forget_if_gone(self, user: UserId) -> None:
        connections = self._users[user]
        if not connections.sockets and connections.poller is None:
            del self._users[user]
