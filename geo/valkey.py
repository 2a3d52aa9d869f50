"""The door to Redis or Valkey, a single server or a cluster: pipelines with a deadline.

A command goes to the server that owns the slot of its keys; which one that is, a cluster is asked
when it is first used, when it says that a slot has moved, and when a server is lost.
What was not answered is sent again until the deadline, so **every command sent here must be
harmless when it runs twice**.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from redis import exceptions as refusals
from redis.asyncio import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from geo.valkey_server import LOST, Argument, Script, ValkeyServer, packed
from geo.valkey_topology import Address, Topology, slot_of_key, topology_of

__all__ = ["Pipeline", "Script", "Valkey", "ValkeyAway", "open_valkey", "packed", "slot_of_key"]

CONNECTIONS: Final = 8
DEADLINE_S: Final = 1.0  # of one pipeline, waiting for a connection and all attempts included
ASKING_S: Final = 0.3  # for the topology, of each server: one that hangs must not use up all time
FIRST_PAUSE_S: Final = 0.01
LONGEST_PAUSE_S: Final = 0.2
ANYWHERE: Final = -1  # the slot of a command without keys

# Errors of a server that cannot serve just now: handled as unavailable.
_UNFIT: Final = (
    refusals.OutOfMemoryError,
    refusals.ReadOnlyError,
    refusals.ClusterDownError,
    refusals.TryAgainError,
)
# Of these the ones that say that somebody else may be the owner by now.
_OUTDATED: Final = (refusals.MovedError, refusals.ReadOnlyError, refusals.ClusterDownError)
_AGAIN: Final = (*_UNFIT, *_OUTDATED)
_ASKING: Final = packed(b"ASKING")


class ValkeyAway(Exception):
    """Raised when the server gave no usable answer in time; the commands may have run."""


class Pipeline:
    """Packed commands of one reply each, with the slot of each one's keys."""

    __slots__ = ("commands", "slots")

    def __init__(self, commands: Sequence[bytes] = (), slots: Sequence[int] = ()) -> None:
        self.commands = list(commands)
        self.slots = list(slots)

    def add(self, slot: int, command: bytes) -> None:
        """Appends a command whose keys are all of this slot, `ANYWHERE` if it has none."""
        self.commands.append(command)
        self.slots.append(slot)

    def __len__(self) -> int:
        return len(self.commands)


class _Sent(NamedTuple):
    """What became of commands that were sent: those left without a usable answer, and why."""

    left: Sequence[int]
    cause: Exception | None = None
    wrong: Sequence[Exception] = ()
    """The errors of commands that were wrong themselves."""


class Valkey:
    """A client of a single server or of a cluster; up to eight pipelines at a time to each."""

    def __init__(
        self, seed: Address, connection_to: Callable[[Address], Connection], connections: int
    ) -> None:
        self._seed = seed
        self.database = int(connection_to(seed).db)
        """The logical database; channels do not belong to one, so their names say it."""
        self.connection_to = connection_to
        """Makes a connection of the caller's own to a server, not yet connected."""
        self._connections = connections
        self._scripts: list[Script] = []
        self._servers: dict[Address, ValkeyServer] = {}
        self._topology: Topology | None = None
        self._is_known = False
        self._looking = asyncio.Lock()

    def add_scripts(self, scripts: Sequence[Script]) -> None:
        """Registers scripts to load whenever a server turns out not to know them."""
        self._scripts.extend(scripts)

    @property
    def is_single(self) -> bool:
        """Returns whether one server is known to own every slot."""
        return self._is_known and self._topology is None

    async def run(self, pipeline: Pipeline, *, deadline_s: float = DEADLINE_S) -> list[Any]:
        """Sends commands, in order to each server, and returns their replies in order.

        Raises `ValkeyAway`, and a ResponseError unchanged when a command itself was wrong.
        """
        answers: list[Any] = [None] * len(pipeline)
        wrong: list[Exception] = []
        waiting: Sequence[int] = range(len(pipeline))
        pause_s = FIRST_PAUSE_S
        cause: Exception | None = None
        try:
            async with asyncio.timeout(deadline_s):
                while waiting:
                    if cause is not None:
                        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                        pause_s = min(2.0 * pause_s, LONGEST_PAUSE_S)
                    if not self._is_known:
                        cause = await self._look()
                    if self._is_known:
                        sent = await self._attempt(pipeline, answers, waiting)
                        waiting, cause = sent.left, sent.cause
                        wrong += sent.wrong
        except TimeoutError as error:
            why = f": {cause}" if cause else ""
            raise ValkeyAway(f"no answer within {deadline_s} s{why}") from error
        if wrong:
            raise wrong[0]
        return answers

    async def run_in_order(self, *stages: Pipeline) -> list[list[Any]]:
        """Sends pipelines so that each has run before the next one, on whatever server.

        A single server runs its commands in order anyway: that is one round trip.
        """
        if not self.is_single:
            return [await self.run(stage) for stage in stages]
        whole = Pipeline()
        for stage in stages:
            whole.commands += stage.commands
            whole.slots += stage.slots
        answers = iter(await self.run(whole))
        return [[next(answers) for _ in stage.commands] for stage in stages]

    async def one(self, *arguments: Argument, slot: int = ANYWHERE) -> Any:
        """Runs one command, where the slot of its keys is, and returns its reply."""
        (reply,) = await self.run(Pipeline([packed(*arguments)], [slot]))
        return reply

    async def everywhere(self, *arguments: Argument) -> list[Any]:
        """Runs one command without keys on every server that owns slots; returns their replies."""
        await self.ping()  # the topology is known then
        slots = self._topology.a_slot_of_each() if self._topology is not None else [ANYWHERE]
        return await self.run(Pipeline([packed(*arguments)] * len(slots), slots))

    async def owners(self, slots: Sequence[int]) -> dict[Address, list[int]]:
        """Returns which server owns which of these slots, as it is asked anew.

        Raises `ValkeyAway` when nobody tells, or nobody owns one of them.
        """
        self._is_known = False
        await self.ping()
        parts = self._by_owner(slots, range(len(slots)))
        if None in parts:
            raise ValkeyAway("a slot has no owner")
        return {owner: [slots[row] for row in rows] for owner, rows in parts.items() if owner}

    async def ping(self) -> None:
        """Returns when a server answers; raises `ValkeyAway`."""
        await self.one(b"PING")

    async def facts(self) -> dict[str, str]:
        """Returns a server's INFO; raises `ValkeyAway`, also where INFO is not permitted."""
        try:
            info: bytes = await self.one(b"INFO")
        except refusals.ResponseError as error:
            raise ValkeyAway(str(error)) from error
        return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)

    async def close(self) -> None:
        """Closes every connection."""
        for server in self._servers.values():
            await server.close()

    async def _attempt(
        self, pipeline: Pipeline, answers: list[Any], waiting: Sequence[int]
    ) -> _Sent:
        """Sends what waits for an answer, and fills the answers in."""
        parts = self._by_owner(pipeline.slots, waiting)
        if len(parts) == 1:
            ((owner, rows),) = parts.items()
            return await self._send(owner, pipeline, answers, rows)
        sent = await asyncio.gather(
            *(self._send(owner, pipeline, answers, rows) for owner, rows in parts.items())
        )
        return _Sent(
            [row for part in sent for row in part.left],
            next((part.cause for part in sent if part.cause is not None), None),
            [error for part in sent for error in part.wrong],
        )

    def _by_owner(
        self, slots: Sequence[int], waiting: Sequence[int]
    ) -> dict[Address | None, Sequence[int]]:
        """Groups commands by the server that they go to; None where nobody owns the slot."""
        if self._topology is None:
            return {self._seed: waiting}
        owners = self._topology.owners
        somebody = self._topology.primaries[0] if self._topology.primaries else None
        parts: dict[Address | None, list[int]] = {}
        for row in waiting:
            slot = slots[row]
            parts.setdefault(somebody if slot == ANYWHERE else owners[slot], []).append(row)
        return dict(parts)

    async def _send(
        self, owner: Address | None, pipeline: Pipeline, answers: list[Any], rows: Sequence[int]
    ) -> _Sent:
        """Sends some of the commands to one server, and fills their answers in."""
        if owner is None:
            self._is_known = False
            return _Sent(rows, refusals.ClusterDownError("a slot has no owner"))
        commands = pipeline.commands
        is_whole = len(rows) == len(commands)
        blob = b"".join(commands if is_whole else [commands[row] for row in rows])
        try:
            replies, has_errors = await self._server(owner).exchange(blob, len(rows))
        except LOST as error:
            self._is_known = self._topology is None
            return _Sent(rows, error)
        left: list[int] = []
        wrong: list[Exception] = []
        cause: Exception | None = None
        for row, reply in zip(rows, replies, strict=True):
            answers[row] = reply
            if has_errors and isinstance(reply, refusals.ResponseError):
                answers[row] = answer = await self._redirected(reply, commands[row])
                if isinstance(answer, _AGAIN):
                    left.append(row)
                    cause = answer
                elif isinstance(answer, refusals.ResponseError):
                    wrong.append(answer)
        return _Sent(left, cause, wrong)

    async def _redirected(self, error: refusals.ResponseError, command: bytes) -> Any:
        """Returns what stands for an error: the reply of the server that it names, or itself.

        ASK names the server that a slot is on its way to, for a key that is there already.
        """
        if isinstance(error, _OUTDATED):
            self._is_known = False
        if not isinstance(error, refusals.AskError) or isinstance(error, refusals.MovedError):
            return error
        address = (error.host or self._seed[0], error.port)
        try:
            (_, answer), _ = await self._server(address).exchange(_ASKING + command, 2)
        except LOST as lost:
            return refusals.TryAgainError(str(lost))
        return answer

    def _server(self, address: Address) -> ValkeyServer:
        if address not in self._servers:
            own = [self.connection_to(address) for _ in range(self._connections)]
            self._servers[address] = ValkeyServer(own, self._scripts)
        return self._servers[address]

    async def _look(self) -> Exception | None:
        """Asks for the topology, the known owners first; returns why nobody told it."""
        async with self._looking:
            if self._is_known:
                return None  # somebody else has just asked
            known = self._topology.primaries if self._topology is not None else ()
            cause: Exception | None = None
            for address in dict.fromkeys((*random.sample(known, len(known)), self._seed)):
                try:
                    async with asyncio.timeout(ASKING_S):
                        command = packed(b"CLUSTER", b"SLOTS")
                        (answer,), _ = await self._server(address).exchange(command, 1)
                except (*LOST, TimeoutError) as error:
                    cause = error
                    continue
                if isinstance(answer, refusals.ResponseError):
                    # Not a cluster, or one that this login may not ask: one server then.
                    self._topology, self._is_known = None, True
                    return None
                await self._take(topology_of(answer, address[0]))
                return None
            return cause

    async def _take(self, topology: Topology) -> None:
        """Goes by a new topology; closes the connections to servers that own nothing any more."""
        self._topology, self._is_known = topology, True
        gone = self._servers.keys() - {*topology.primaries, self._seed}
        for address in gone:
            await self._servers.pop(address).close()


def open_valkey(url: str, *, connections: int = CONNECTIONS) -> Valkey:
    """Returns a client for redis://, rediss:// or unix:// `url`; it connects when first used.

    A URL of any server of a cluster is one of the cluster: the others are found by it, and reached
    with the same login and by TLS if it is.
    """
    pool = ConnectionPool.from_url(
        url,
        retry=Retry(NoBackoff(), 0),  # `run` is the one place that tries again
        socket_timeout=None,  # and the one that watches the time
        socket_connect_timeout=DEADLINE_S,
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    parts = urlsplit(url)
    seed = (parts.hostname or "localhost", parts.port or 6379)
    others = {key: value for key, value in pool.connection_kwargs.items() if key not in _OF_ONE}
    kind: type[Any] = pool.connection_class if parts.scheme != "unix" else Connection

    def connection_to(address: Address) -> Connection:
        if address == seed:
            connection: Connection = pool.make_connection()  # type: ignore[no-untyped-call]
            return connection
        made: Connection = kind(**others, host=address[0], port=address[1])
        return made

    return Valkey(seed, connection_to, connections)


# What a URL says of its one server alone; a cluster has a single logical database.
_OF_ONE: Final = frozenset({"host", "port", "path", "db"})
