"""One user's session under load: opened, audited, cut now and then, and resumed by its number.

Blocking, one turn after the other: under locust a greenlet, in a test a thread.
"""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from bench.load.users.accounts import Account
from bench.load.users.agenda import Agenda
from bench.load.users.audit import Finding
from bench.load.users.codes import Codes
from bench.load.users.free_hustlers import FreeHustlers
from bench.load.users.link import Link, Lost
from bench.load.users.meter import SESSION, WELCOME, FirstCards, Meter
from bench.load.users.rest import Rest
from hustlexp_client import Message, Pong, Resync, Welcome, outgoing
from hustlexp_client.decoding import decode

TURN_S: Final = 0.5
"""A turn waits so long at most, so that a user hears soon that it is to stop."""
WELCOME_WITHIN_S: Final = 15.0
PING_EVERY_S: Final = 5.0
RETURN_S: Final = (0.05, 1.0)
"""From a cut to the next connect."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all users of a process have in common."""

    ws_url: str
    rest: Rest
    meter: Meter
    first_cards: FirstCards
    codes: Codes
    free_hustlers: FreeHustlers


class LoadSession(ABC):
    """An account's socket and agenda; `turn` is called again and again until `leave`.

    `cut_every_s` is the mean time between two cuts without a close frame; None is never.
    """

    def __init__(
        self, account: Account, shared: Shared, draw: Random, cut_every_s: float | None
    ) -> None:
        self.account = account
        self.shared = shared
        self.draw = draw
        self.agenda = Agenda()
        self._cut_every_s = cut_every_s
        self._references = itertools.count(1)
        self._answers: dict[str, Callable[[Message], None]] = {}
        self._link: Link | None = None
        self._opened_at = 0.0

    def turn(self) -> None:
        """Connects, or takes one message or what is due; waits half a second at most."""
        try:
            if self._link is None:
                self._connect()
                return
            received = self._link.receive(self.agenda.wait_s(TURN_S))
            if received is not None:
                self._take(decode(received))
            self.agenda.run_due()
        except Lost as lost:
            self.shared.meter.failed(SESSION, lost, self._age_s())
            self._part()
            time.sleep(self.draw.uniform(*RETURN_S))

    def leave(self) -> None:
        """Cuts the connection; the account resumes in other hands."""
        if self._link is not None:
            self.shared.meter.measured(SESSION, self._age_s())
            self._part()

    def tell(self, kind: str, data: outgoing.Data | None = None) -> None:
        """Sends a message that has no answer."""
        self._send(outgoing.encode(kind, data))

    def ask(self, kind: str, data: outgoing.Data, then: Callable[[Message], None]) -> None:
        """Sends a request; its answer goes to `then`, unless the connection is cut before."""
        reference = str(next(self._references))
        self._answers[reference] = then
        self._send(outgoing.encode(kind, data, reference))

    def audited(self, act: Callable[..., None], *args: Any, **named: Any) -> None:
        """Holds something against a promise; a broken one is a failure of the session."""
        try:
            act(*args, **named)
        except Finding as finding:
            self.shared.meter.failed(SESSION, finding, self._age_s())

    @abstractmethod
    def greeted(self, welcome: Welcome) -> None:
        """Begins on a new connection, with an empty agenda but for pings and cuts."""

    @abstractmethod
    def heard(self, message: Message) -> None:
        """Takes a message that is no answer to a request."""

    def parted(self) -> None:  # noqa: B027  # a poster has nothing to do
        """Is called when a connection has ended."""

    # Connecting

    def _connect(self) -> None:
        """Opens a connection up to WELCOME; a failed one is reported and tried again."""
        began = time.monotonic()
        try:
            link = Link.open(self.shared.ws_url)
            began = time.monotonic()
            self._link, self._opened_at = link, began
            token, last_seq = self.account.ticket.token, self.account.events.last_seq
            link.send(outgoing.encode("AUTH", outgoing.credentials(token, last_seq)))
            welcome = self._until_welcome(link, began)
        except Lost as lost:
            self.shared.meter.failed(WELCOME, lost, time.monotonic() - began)
            self._part()
            time.sleep(self.draw.uniform(*RETURN_S))
            return
        self.shared.meter.measured(WELCOME, time.monotonic() - began)
        self._begin(welcome)

    def _until_welcome(self, link: Link, began: float) -> Welcome:
        while (left_s := began + WELCOME_WITHIN_S - time.monotonic()) > 0:
            received = link.receive(left_s)
            if received is None:
                break
            message = decode(received)
            if isinstance(message.body, Welcome):
                self.audited(self.account.events.welcome, message.body.last_seq)
                return message.body
            self._take(message)
        raise Lost(1006, f"no WELCOME within {WELCOME_WITHIN_S:g} s")

    def _begin(self, welcome: Welcome) -> None:
        self.agenda.clear()
        self._answers.clear()
        self.agenda.after(PING_EVERY_S * self.draw.random(), self._ping)
        if self._cut_every_s is not None:
            self.agenda.after(self.draw.expovariate(1 / self._cut_every_s), self._cut)
        self.greeted(welcome)

    def _part(self) -> None:
        if self._link is not None:
            self._link.cut()
            self._link = None
        self.parted()

    def _ping(self) -> None:
        self.tell("PING")
        self.agenda.after(PING_EVERY_S, self._ping)

    def _cut(self) -> None:
        self.leave()
        self.agenda.clear()
        time.sleep(self.draw.uniform(*RETURN_S))

    # Messages

    def _take(self, message: Message) -> None:
        if message.seq is not None:
            self.audited(self.account.events.event, message.seq)
        match message.body:
            case Resync(reason=reason):
                self.audited(self.account.events.resync, reason)
            case Pong(last_seq=last_seq):
                self.audited(self.account.events.pong, last_seq)
            case _:
                then = self._answers.pop(message.id, None) if message.id is not None else None
                (then or self.heard)(message)

    def _send(self, text: str) -> None:
        if self._link is None:
            return
        self._link.send(text)

    def _age_s(self) -> float:
        return time.monotonic() - self._opened_at
