"""Protocol state machine of one WebSocket session, without sockets, clocks or databases.

Frames, events, cards and the passing of time go in; frames to write collect in `outbox` and the
close code in `ending`.  `receive` returns the requests that the caller must carry out. Times are
monotonic seconds unless they are named otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Literal, get_args
from uuid import UUID

from engine.events.views import Snapshot
from engine.kernel import errors
from engine.kernel.applied import ClosedReason, UserEvent
from engine.kernel.ids import UserId
from engine.live.views import OfferCard
from gateway.contract import client, close_codes, codec, limits, problems, server
from gateway.contract.close_codes import CloseCode
from gateway.identity.auth import Caller
from gateway.identity.token_bucket import TokenBucket
from gateway.session.event_order import EventOrder
from gateway.session.shown_cards import ShownCards

_NEVER: Final = float("inf")
_RATE_OF: Final = {
    kind: limits.RATE_OF[str(kind.__struct_config__.tag)] for kind in get_args(client.ClientMessage)
}


class Phase(Enum):
    """The states of a session."""

    GREETING = "before AUTH"
    AUTHENTICATING = "authenticated; the snapshot is being read"
    OPEN = "welcomed"


class Session:
    """State machine of one session, from the handshake to the close."""

    __slots__ = (
        "_auth_by",
        "_auth_sent",
        "_buckets",
        "_early",
        "_flood",
        "_gone_early",
        "_rate",
        "_refused",
        "_warned",
        "_welcomed_to",
        "_withdrawn_early",
        "cards",
        "ending",
        "expires_at",
        "header_token",
        "heard_at",
        "issued_at",
        "order",
        "outbox",
        "phase",
        "role",
        "session_id",
        "user_id",
        "watched",
    )

    def __init__(
        self,
        session_id: UUID,
        now: float,
        header_token: str | None = None,
        refused: Callable[[errors.ErrorKind], None] = lambda _: None,
    ) -> None:
        self.session_id = session_id
        self._refused = refused
        self.header_token = header_token
        self.phase = Phase.GREETING
        self.user_id: UserId | None = None
        self.role: str | None = None
        self.expires_at = _NEVER
        """When the token ends, in Unix seconds."""
        self.issued_at = 0.0
        """When it was issued."""
        self._warned = False
        self.heard_at = now
        """When the client last said anything."""
        self.order = EventOrder()
        self.cards = ShownCards()
        self.watched: set[UUID] = set()
        self.outbox: list[bytes] = []
        """Messages to write, in order; the session's driver empties it."""
        self.ending: CloseCode | None = None
        self._auth_by = now + limits.AUTH_WITHIN_S
        self._auth_sent = False
        self._rate = TokenBucket(*limits.RATE, now)
        self._flood = TokenBucket(*limits.FLOOD, now)
        self._buckets: dict[type, TokenBucket] = {}
        self._welcomed_to = 0
        self._early: dict[UUID, tuple[UUID, bytes]] = {}
        self._gone_early: set[UUID] = set()
        self._withdrawn_early = False

    # ── What the client says ─────────────────────────────────────────────────────────────────────

    def receive(
        self, raw: str, now: float, server_time: Callable[[], datetime]
    ) -> client.ClientMessage | None:
        """Decodes a text frame; returns its request when the caller must carry it out."""
        self.heard_at = now
        if len(raw) > limits.MAX_MESSAGE_CHARS:
            self.refuse(errors.refusal("TOO_LARGE"), None, now)
            return None
        try:
            self._admit(self._rate, now)
            message = codec.parse(raw)
            kind = type(message)
            bucket = self._buckets.get(kind)
            if bucket is None:
                bucket = self._buckets[kind] = TokenBucket(*_RATE_OF[kind], now)
            self._admit(bucket, now)
            if kind is client.Auth:
                # What is sent right behind it waits for it (gateway/ws/request_queue.py).
                self._auth_sent = True
            elif self.phase is Phase.GREETING and not self._auth_sent and kind is not client.Ping:
                self.end(close_codes.AUTH_FIRST)
                raise errors.refusal("HX501", "TOKEN-MISSING", "AUTH is the first message.")
        except errors.Refusal as refusal:
            self.refuse(refusal, codec.reference_of(raw), now)
            return None
        if kind is client.Ping:
            pong = server.Pong(server_time(), max(self.order.known, self.order.written))
            self.reply("PONG", pong, message.id)
            return None
        if kind is client.Ack:
            return None  # nothing to keep: who resumes says `last_seq`
        return message

    def receive_binary(self, now: float) -> None:
        """Refuses a binary frame with ERROR; the session goes on."""
        self.heard_at = now
        self.refuse(errors.refusal("VALIDATION_ERROR", message="Text frames only."), None, now)

    @staticmethod
    def _admit(bucket: TokenBucket, now: float) -> None:
        wait_s = bucket.take(now)
        if wait_s:
            raise errors.Refusal(errors.kind("RATE_LIMITED"), retry_after_s=round(wait_s, 3))

    # ── What the server answers ──────────────────────────────────────────────────────────────────

    def reply(self, kind: str, data: object, ref: client.Reference | None) -> None:
        """Writes the answer to one request."""
        self.outbox.append(codec.encode(kind, data, ref=ref))

    def refuse(self, refusal: errors.Refusal, ref: client.Reference | None, now: float) -> None:
        """Answers one request with ERROR; too many of them, or a refused token, end the session."""
        self._refused(refusal.kind)
        self.reply("ERROR", problems.error_data(refusal), ref)
        closes = problems.close_code(refusal.kind)
        if closes is not None:
            self.end(close_codes.BY_CODE[closes])
        elif self._flood.take(now):
            self.end(close_codes.FLOOD)

    def end(self, code: CloseCode) -> None:
        """Ends the session with a close code; the first one stands."""
        if self.ending is None:
            self.ending = code

    # ── Opening ──────────────────────────────────────────────────────────────────────────────────

    def authenticated(self, caller: Caller, ref: client.Reference | None, now: float) -> bool:
        """Accepts a verified token; returns False when it names another user."""
        if self.user_id is not None and caller.user_id != self.user_id:
            self.refuse(
                errors.refusal("HX503", "PERMISSION", "This session is another user's."), ref, now
            )
            self.end(close_codes.ANOTHER_USER)
            return False
        self.user_id = caller.user_id
        self.role = caller.role
        self.expires_at = caller.expires_at
        self.issued_at = caller.issued_at
        self._warned = False
        self.phase = Phase.AUTHENTICATING
        return True

    def not_joined(self, refusal: errors.Refusal, ref: client.Reference | None, now: float) -> None:
        """Answers an AUTH that could not be carried out with ERROR, and ends the session."""
        self.refuse(refusal, ref, now)
        if refusal.kind.code == "HX503":
            self.end(close_codes.NOT_ALLOWED)
        self.end(close_codes.UNAVAILABLE)

    def begin(self, snapshot_seq: int, last_seq: int | None) -> int | None:
        """Sets the seq that WELCOME covers; returns the seq after which to replay the log.

        None when nothing is missing.  A cursor beyond the log is answered with RESYNC.
        """
        self._welcomed_to = snapshot_seq
        self.order.heard_of(snapshot_seq)
        if last_seq is None:
            self.order.start_at(snapshot_seq)
            return None
        if last_seq > snapshot_seq:
            self.resync("AHEAD")
            return None
        self.order.start_at(last_seq)
        return last_seq if last_seq < snapshot_seq else None

    def replay(self, events: Iterable[tuple[UserEvent, bytes]]) -> bool:
        """Writes missed events up to WELCOME's seq; returns False when the page ends before."""
        for event, payload in events:
            if event.seq <= self._welcomed_to and self.order.admit(event.seq):
                self.outbox.append(payload)
        return self.order.written >= self._welcomed_to

    def resync(self, reason: Literal["AHEAD", "TOO_OLD"]) -> None:
        """Writes RESYNC: the log cannot continue from the client's cursor."""
        self.outbox.append(codec.encode("RESYNC", server.Resync(reason)))
        seq = self._welcomed_to if self.phase is not Phase.OPEN else self.order.known
        self.order.restart_at(seq)

    def open(
        self, snapshot: Snapshot, ended: Callable[[UUID], bool], ref: client.Reference | None
    ) -> list[UUID]:
        """Writes WELCOME and the cards queued meanwhile; returns the broadcasts now shown."""
        offers = [offer for offer in snapshot.offers if self._wanted(offer, ended)]
        welcome = server.Welcome(
            session_id=self.session_id,
            user_id=snapshot.user_id,
            server_time=snapshot.server_time,
            last_seq=self.order.written,
            live=snapshot.live,
            offers=offers,
            tasks=snapshot.tasks,
        )
        self.reply("WELCOME", welcome, ref)
        self.phase = Phase.OPEN
        shown = [offer.broadcast_id for offer in offers]
        for offer in offers:
            self.cards.show(offer.broadcast_id, offer.task.id)
        for broadcast_id, (task_id, payload) in self._early.items():
            if not ended(broadcast_id) and broadcast_id not in self.cards:
                self.show(broadcast_id, task_id, payload)
                shown.append(broadcast_id)
        self._early = {}
        self._gone_early = set()
        self._withdrawn_early = False
        return shown

    def _wanted(self, offer: OfferCard, ended: Callable[[UUID], bool]) -> bool:
        return not (
            self._withdrawn_early
            or offer.broadcast_id in self._gone_early
            or ended(offer.broadcast_id)
        )

    # ── Durable events ───────────────────────────────────────────────────────────────────────────

    def push(self, seq: int, payload: bytes) -> bool:
        """Writes an event if it is the next one and returns whether; only notes it before WELCOME.

        An event before WELCOME is read from the log.
        """
        if self.phase is not Phase.OPEN:
            self.order.heard_of(seq)
            return False
        if not self.order.admit(seq):
            return False
        self.outbox.append(payload)
        return True

    @property
    def behind(self) -> bool:
        """Whether the log must be read for this session."""
        return self.phase is Phase.OPEN and self.order.behind

    # ── Cards ────────────────────────────────────────────────────────────────────────────────────

    def show(self, broadcast_id: UUID, task_id: UUID, payload: bytes) -> bool:
        """Writes a card unless it is shown already; returns True when it is shown."""
        if self.phase is Phase.OPEN:
            if self.cards.show(broadcast_id, task_id):
                self.outbox.append(payload)
            return True
        if (
            self.phase is Phase.AUTHENTICATING
            and len(self._early) < limits.MAX_CARDS_BEFORE_WELCOME
        ):
            self._gone_early.discard(broadcast_id)
            self._early[broadcast_id] = (task_id, payload)
        return False

    def hide(self, broadcast_id: UUID, close_message: bytes) -> None:
        """Withdraws a card; writes the close message only where the card was shown."""
        if self.phase is Phase.AUTHENTICATING:
            self._early.pop(broadcast_id, None)
            self._gone_early.add(broadcast_id)
        due = self.cards.hide(broadcast_id, close_message)
        if due is not None:
            self.outbox.append(due)

    def withdraw(self) -> None:
        """Withdraws every card while the hustler is not offerable; they may be shown again."""
        if self.phase is Phase.AUTHENTICATING:
            self._early = {}
            self._withdrawn_early = True
        for broadcast_id, task_id in self.cards.withdraw():
            self.outbox.append(close_message(broadcast_id, task_id, "WITHDRAWN"))

    def answered(self, response: server.BroadcastResponse, ref: client.Reference | None) -> None:
        """Writes BROADCAST_RESPONSE, then the close message that waited for it unless the card was won."""
        self.reply("BROADCAST_RESPONSE", response, ref)
        if response.outcome in ("WON", "DECLINED", "SKIPPED"):
            self.cards.settled(response.broadcast_id)
        else:
            self._write_due(response.broadcast_id)

    def answer_refused(
        self, broadcast_id: UUID, refusal: errors.Refusal, ref: client.Reference | None, now: float
    ) -> None:
        """Writes ERROR; the card stays unless it went meanwhile."""
        self.refuse(refusal, ref, now)
        self._write_due(broadcast_id)

    def _write_due(self, broadcast_id: UUID) -> None:
        due = self.cards.unsettled(broadcast_id)
        if due is not None:
            self.outbox.append(due)

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────

    def tick(self, now: float, unix_now: float) -> None:
        """Ends a session that did not authenticate in time or whose token has ended.

        Before a token ends it is told once (TOKEN_EXPIRING).
        """
        if self.phase is Phase.GREETING:
            if now >= self._auth_by:
                self.end(close_codes.AUTH_TIMEOUT)
        elif unix_now >= self.expires_at:
            self.end(close_codes.TOKEN_EXPIRED)
        elif (
            self.phase is Phase.OPEN
            and not self._warned
            and unix_now >= self.expires_at - limits.TOKEN_WARNING_S
        ):
            self._warned = True
            ends_at = datetime.fromtimestamp(self.expires_at, UTC)
            self.outbox.append(codec.encode("TOKEN_EXPIRING", server.TokenExpiring(ends_at)))

    def silent(self, now: float) -> bool:
        """Returns whether the client has sent nothing for longer than a heartbeat and its slack."""
        return now - self.heard_at > limits.HEARTBEAT_S + limits.HEARTBEAT_SLACK_S


def close_message(broadcast_id: UUID, task_id: UUID, reason: ClosedReason) -> bytes:
    """Returns LIVE_TASK_UNAVAILABLE, encoded once for all sockets that show the card."""
    return codec.encode("LIVE_TASK_UNAVAILABLE", server.Unavailable(broadcast_id, task_id, reason))


def durable(event: UserEvent) -> bytes:
    """Returns a durable event encoded as the message that every socket of its user gets."""
    return codec.encode(event.type, codec.logged(event.type, event.data), seq=event.seq)
