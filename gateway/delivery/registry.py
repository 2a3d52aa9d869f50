"""Who is here: sockets, their users, and what they asked to hear of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from uuid import UUID

from engine.kernel.ids import UserId
from gateway.contract import close_codes, limits
from gateway.delivery.long_polls import Poller
from gateway.metrics.sessions import SessionMetrics
from gateway.session.connection import Connection
from gateway.session.session import Phase


class Person:
    """Everything through which one user can be reached."""

    __slots__ = ("connections", "poller")

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        """Authenticated sockets, oldest first."""
        self.poller: Poller | None = None


class Attendance:
    """user → sockets and long polls; task → onlookers."""

    def __init__(self, metrics: SessionMetrics) -> None:
        self._metrics = metrics
        self._people: dict[UserId, Person] = {}
        self._sockets: set[Connection] = set()
        self._waiting = 0
        """Sockets that have not authenticated yet."""
        self._strangers: Counter[str] = Counter()
        """The same by address."""
        self._watching: defaultdict[UUID, set[Connection]] = defaultdict(set)
        self._observing: set[Connection] = set()

    def opened(self, connection: Connection) -> None:
        """A socket opened; its user is not known yet."""
        self._sockets.add(connection)
        self._strangers[connection.address] += 1
        self._waiting += 1

    @property
    def full(self) -> bool:
        """No more sockets before some of the open ones authenticate, or close."""
        return (
            self._waiting >= limits.MAX_UNAUTHENTICATED or len(self._sockets) >= limits.MAX_SOCKETS
        )

    def full_for(self, address: str) -> bool:
        """No more sockets from this address before some of its own authenticate, or close."""
        return self._strangers[address] >= limits.MAX_UNAUTHENTICATED_PER_ADDRESS

    def _known(self, connection: Connection) -> None:
        """The socket's place before AUTH is free again."""
        self._waiting -= 1
        self._strangers[connection.address] -= 1
        if not self._strangers[connection.address]:
            del self._strangers[connection.address]

    def joined(self, connection: Connection) -> None:
        """The socket's user is known: from here on nothing is missed.

        The oldest socket of a user who opens too many is closed.
        """
        user = connection.session.user_id
        assert user is not None
        self._known(connection)
        self._metrics.connected()
        person = self._people.setdefault(user, Person())
        person.connections.append(connection)
        speaking = [known for known in person.connections if not known.gone]
        for oldest in speaking[: -limits.SOCKETS_PER_USER]:
            oldest.session.end(close_codes.TOO_MANY_SOCKETS)
            oldest.flush()

    def left(self, connection: Connection) -> None:
        """The socket is closed."""
        self._sockets.discard(connection)
        self._observing.discard(connection)
        for task_id in tuple(connection.session.watched):
            self.unwatch(connection, task_id)
        if connection.cut_for == "slow":
            self._metrics.slow_socket_dropped()
        user = connection.session.user_id
        if user is None:
            self._known(connection)
            return
        self._metrics.disconnected()
        person = self._people[user]
        person.connections.remove(connection)
        if not person.connections and person.poller is None:
            del self._people[user]

    def connected(self) -> Collection[UserId]:
        """Users who can be shown a card now."""
        return self._people.keys()

    def connections(self, user: UserId) -> Sequence[Connection]:
        """The user's authenticated sockets, oldest first."""
        person = self._people.get(user)
        return person.connections if person else ()

    @property
    def sessions(self) -> int:
        """Open sockets, authenticated or not."""
        return len(self._sockets)

    def watch(self, connection: Connection, task_id: UUID) -> bool:
        """Tells this socket of every step of a task; False when it watches too many."""
        watched = connection.session.watched
        if task_id not in watched and len(watched) >= limits.MAX_WATCHED_TASKS:
            return False
        if connection.gone:
            return True
        watched.add(task_id)
        self._watching[task_id].add(connection)
        return True

    def unwatch(self, connection: Connection, task_id: UUID) -> None:
        """Ends `watch`."""
        connection.session.watched.discard(task_id)
        watching = self._watching.get(task_id)
        if watching is not None:
            watching.discard(connection)
            if not watching:
                del self._watching[task_id]

    def observe(self, connection: Connection, wanted: bool) -> None:  # noqa: FBT001 - on or off
        """Adds the socket to those who get CITY frames, or takes it out."""
        if wanted and not connection.gone:
            self._observing.add(connection)
        else:
            self._observing.discard(connection)

    @property
    def observers(self) -> Collection[Connection]:
        """Sockets that get CITY frames."""
        return self._observing

    def tell(
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
        for connection in self.connections(user):
            if connection is but or (volatile and connection.lags):
                continue
            if connection.session.phase is Phase.OPEN:
                connection.session.outbox.append(payload)
                connection.flush()
