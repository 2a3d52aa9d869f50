"""Whatever is lost, doubled, reordered or cut, a client sees every event once and in order."""

from __future__ import annotations

from uuid import uuid4

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from gateway.session.session import Phase, Session, durable
from tests.gateway.session.test_session import caller, event, never, snapshot


class ResumingClient(RuleBasedStateMachine):
    """A log that grows, pushes that go astray, and a client that reconnects with its last_seq."""

    committed = Bundle("committed")

    @initialize()
    def begin(self) -> None:
        """An empty log and a first connection."""
        self.log = 0
        self.kept: list[int] = []
        self.resumable = 0
        self.session = Session(uuid4(), 0.0)
        self.session.authenticated(caller(), None, 0.0)
        self.welcome(0)

    def welcome(self, snapshot_seq: int) -> None:
        """Replay up to a snapshot, WELCOME, as `joining` does it."""
        after = self.session.begin(snapshot_seq, self.resumable)
        while after is not None:
            page = range(after + 1, min(after + 3, self.log) + 1)
            if self.session.replay((event(n), durable(event(n))) for n in page):
                break
            after = self.session.order.written
        self.session.open(snapshot(snapshot_seq), never, None)
        self.read()

    def read(self) -> None:
        """The client keeps what it gets."""
        for payload in self.session.outbox:
            message = msgspec.json.decode(payload)
            assert message["type"] != "RESYNC"
            if "seq" in message:
                self.kept.append(message["seq"])
                self.resumable = message["seq"]
        self.session.outbox.clear()

    @rule(target=committed)
    def commit(self) -> int:
        """An event is written to the log."""
        self.log += 1
        return self.log

    @rule(seq=committed)
    def push(self, seq: int) -> None:
        """Its push arrives: late, twice, before an earlier one, or never."""
        if seq <= self.log:
            self.session.push(seq, durable(event(seq)))
            self.read()

    @rule()
    def compare(self) -> None:
        """The counters are compared and the log is read for whoever is behind."""
        self.session.order.heard_of(self.log)
        if self.session.behind:
            for seq in range(self.session.order.written + 1, self.log + 1):
                self.session.push(seq, durable(event(seq)))
        self.read()
        if self.session.phase is Phase.OPEN:
            assert self.kept == list(range(1, self.log + 1))

    @rule(unread=st.booleans(), behind=st.integers(0, 2))
    def reconnect(self, *, unread: bool, behind: int) -> None:
        """The socket is cut, and with it perhaps what was written last; pushes race the join."""
        if unread and self.kept:
            self.kept.pop()
            self.resumable = self.kept[-1] if self.kept else 0
        self.session = Session(uuid4(), 0.0)
        self.session.authenticated(caller(), None, 0.0)
        seen = max(self.resumable, self.log - behind)
        if self.log > seen:
            self.session.push(self.log, durable(event(self.log)))
        self.welcome(seen)

    @invariant()
    def gap_free(self) -> None:
        """No gap, no repeat, ever."""
        assert self.kept == list(range(1, len(self.kept) + 1))


ResumingClient.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestResumingClient = ResumingClient.TestCase
