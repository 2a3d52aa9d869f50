"""The bus: each process hears what every other one has committed or shown (design §7).

At most once and in no order: the log, `changes_since` and the next tick find what it loses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol
from uuid import UUID, uuid4

import structlog

from engine.kernel.loops import supervise
from gateway.contract import limits
from gateway.delivery import bus_messages
from gateway.delivery.bus_messages import Hello, Message
from geo.valkey import Valkey, ValkeyAway
from geo.valkey_lanes import Lanes

log = structlog.get_logger(__name__)

LANES: Final = 16
_NAME: Final = "hx2:bus"
_ID_BYTES: Final = 16


class BusListener(Protocol):
    """Acts on what other processes say; must not block."""

    def heard(self, message: Message) -> None:
        """Acts on a message of another process."""

    def may_have_missed(self) -> None:
        """Is called when the bus is heard again, or for the first time."""


class Bus:
    """Publishes this process's messages, and passes on those of all others."""

    def __init__(
        self,
        valkey: Valkey,
        failed: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`failed` is called with the name of what failed."""
        self._lanes = Lanes(valkey, _NAME, LANES)
        self._failed = failed
        self._monotonic = monotonic
        self._id = uuid4().bytes
        self._waiting: dict[int, list[Message]] = {}
        self._count = 0
        self._work = asyncio.Event()
        self._heard_at_s: dict[bytes, float] = {}
        self._listener: BusListener | None = None

    def connect(self, listener: BusListener) -> None:
        """Sets who hears what others say; before `run`."""
        self._listener = listener

    @property
    def is_listening(self) -> bool:
        """Whether this process hears the others now."""
        return self._lanes.is_listening

    @property
    def has_peers(self) -> bool:
        """Whether another process was heard lately, or may be there unheard."""
        now_s = self._monotonic()
        return not self.is_listening or any(
            now_s - heard_at_s < limits.BUS_PEER_S for heard_at_s in self._heard_at_s.values()
        )

    def publish(self, about: UUID, message: Message) -> None:
        """Says something to every other process; what is `about` one id keeps its order mostly."""
        if self._count >= limits.BUS_WAITING_MAX:
            self._failed("bus_full")
            return
        self._count += 1
        self._waiting.setdefault(about.bytes[-1] % LANES, []).append(message)
        self._work.set()

    async def run(self) -> None:
        """Publishes, listens and says hello until cancelled."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(supervise("bus_publish", self._publish, failed=self._failed))
            loops.create_task(supervise("bus_listen", self._listen, failed=self._failed))
            loops.create_task(supervise("bus_hello", self._hello, failed=self._failed))

    async def _publish(self) -> None:
        await self._work.wait()
        self._work.clear()
        waiting, self._waiting, self._count = self._waiting, {}, 0
        await self._lanes.publish(
            {lane: self._id + bus_messages.encode(some) for lane, some in waiting.items()}
        )

    async def _listen(self) -> None:
        listener = self._listener
        assert listener is not None
        try:
            await self._lanes.listen(self._received, listener.may_have_missed)
        except ValkeyAway as error:
            log.warning("bus_lost", reason=str(error))
            raise

    async def _hello(self) -> None:
        self.publish(UUID(bytes=self._id), Hello())
        await asyncio.sleep(limits.BUS_HELLO_EVERY_S)
        now_s = self._monotonic()
        self._heard_at_s = {
            peer: at_s
            for peer, at_s in self._heard_at_s.items()
            if now_s - at_s < limits.BUS_PEER_S
        }

    def _received(self, payload: bytes) -> None:
        sender = payload[:_ID_BYTES]
        if sender == self._id:
            return
        self._heard_at_s[sender] = self._monotonic()
        assert self._listener is not None
        try:
            for message in bus_messages.decode(payload[_ID_BYTES:]):
                self._listener.heard(message)
        except Exception as error:  # noqa: BLE001 - one message that cannot be read costs time alone
            log.warning("bus_message_dropped", reason=str(error))
            self._failed("bus_message")
