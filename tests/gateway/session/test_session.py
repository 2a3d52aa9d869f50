from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from engine.events.views import Snapshot
from engine.kernel import errors
from engine.kernel.applied import UserEvent
from engine.kernel.ids import UserId
from engine.live.views import LiveView, OfferCard, OfferedTask, PosterCard, RoundedLocation
from gateway.contract import close_codes, codec, limits
from gateway.contract.client import Auth
from gateway.contract.server import BroadcastResponse
from gateway.identity.auth import Caller
from gateway.session.session import Phase, Session, close_message, durable

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ME = UserId(uuid4())


def session_at(phase: Phase, *, seq: int = 0) -> Session:
    """A session that has come so far, its outbox empty."""
    session = Session(uuid4(), 0.0)
    if phase is not Phase.GREETING:
        assert session.authenticated(caller(), None, 0.0)
    if phase is Phase.OPEN:
        session.begin(seq, None)
        session.open(snapshot(seq), never, None)
    session.outbox.clear()
    return session


def caller(user: UserId = ME, expires_at: float = 1e12) -> Caller:
    """Who a token names."""
    return Caller(user, "hustler", expires_at)


def clock() -> datetime:
    """The server's time."""
    return NOW


def never(_: UUID) -> bool:
    """No broadcast has ended."""
    return False


def snapshot(last_seq: int, *offers: OfferCard) -> Snapshot:
    """The user's state."""
    return Snapshot(ME, NOW, last_seq, LiveView("ACTIVE"), list(offers), [])


def card(broadcast_id: UUID | None = None) -> OfferCard:
    """An offer."""
    place = RoundedLocation(37.0, -122.0)
    task = OfferedTask(uuid4(), 1, "t", "d", "moving", 4000, 3400, place, 1.2, None, 1.25)
    return OfferCard(broadcast_id or uuid4(), task, 0.8, NOW, PosterCard("Ada", 2))


def event(seq: int) -> UserEvent:
    """A durable event."""
    return UserEvent(ME, seq, "NUDGE", {"kind": "REST", "text": str(seq)}, NOW)


def received(session: Session) -> list[dict[str, Any]]:
    """What the client got since the last call."""
    heard = [msgspec.json.decode(payload) for payload in session.outbox]
    session.outbox.clear()
    return heard


def types(session: Session) -> list[str]:
    """The types of what the client got since the last call."""
    return [message["type"] for message in received(session)]


def show(session: Session, offer: OfferCard) -> bool:
    """A card comes."""
    payload = codec.encode("LIVE_TASK_BROADCAST", offer)
    return session.show(offer.broadcast_id, offer.task.id, payload)


def close(session: Session, offer: OfferCard, reason: Any = "CLAIMED") -> None:
    """Its broadcast ends."""
    session.hide(offer.broadcast_id, close_message(offer.broadcast_id, offer.task.id, reason))


# ── Before and at AUTH ───────────────────────────────────────────────────────────────────────────


def test_a_request_before_auth_ends_the_session_and_is_no_matter_of_tokens() -> None:
    """HX501, and the close says that the app has to change: a fresh token would not help."""
    session = session_at(Phase.GREETING)
    request = f'{{"type":"SUBSCRIBE_TASK","id":"s","data":{{"task_id":"{ME}"}}}}'
    assert session.receive(request, 1.0, clock) is None
    (error,) = received(session)
    assert (error["type"], error["id"], error["data"]["code"]) == ("ERROR", "s", "HX501")
    assert session.ending is close_codes.AUTH_FIRST


def test_a_ping_before_auth_is_answered() -> None:
    """It asks for nothing that a token guards, and keeps nobody from AUTH in time."""
    session = session_at(Phase.GREETING)
    assert session.receive('{"type":"PING","id":"p"}', 1.0, clock) is None
    assert types(session) == ["PONG"]
    assert session.ending is None


def test_malformed_before_auth_is_an_error_and_the_session_goes_on() -> None:
    """A VALIDATION_ERROR never closes by itself."""
    session = session_at(Phase.GREETING)
    session.receive("{", 1.0, clock)
    assert received(session)[0]["data"]["code"] == "VALIDATION_ERROR"
    assert session.ending is None
    assert isinstance(session.receive('{"type":"AUTH"}', 1.0, clock), Auth)


def test_who_does_not_authenticate_in_ten_seconds_is_closed() -> None:
    """4202, and not a moment earlier."""
    session = session_at(Phase.GREETING)
    session.tick(limits.AUTH_WITHIN_S - 0.01, 0.0)
    assert session.ending is None
    session.tick(limits.AUTH_WITHIN_S, 0.0)
    assert session.ending is close_codes.AUTH_TIMEOUT


def test_an_ended_token_closes_the_session_unless_a_fresh_auth_came() -> None:
    """4103 at the token's end; AUTH on the open socket moves that end."""
    session = Session(uuid4(), 0.0)
    session.authenticated(caller(expires_at=100.0), None, 0.0)
    session.tick(1.0, 99.9)
    assert session.ending is None
    session.authenticated(caller(expires_at=200.0), None, 2.0)
    session.tick(3.0, 150.0)
    assert session.ending is None
    session.tick(4.0, 200.0)
    assert session.ending is close_codes.TOKEN_EXPIRED


def test_the_end_of_a_token_is_told_a_minute_before_once_for_each() -> None:
    """TOKEN_EXPIRING, with the time; a fresh token has a warning of its own."""
    session = session_at(Phase.OPEN)
    session.expires_at = 1_000.0
    session.tick(1.0, 939.9)
    assert received(session) == []
    session.tick(2.0, 940.0)
    session.tick(3.0, 941.0)
    data = {"expires_at": "1970-01-01T00:16:40.000000Z"}
    assert received(session) == [{"type": "TOKEN_EXPIRING", "data": data}]
    session.authenticated(caller(expires_at=2_000.0), None, 4.0)
    session.open(snapshot(0), never, None)
    session.tick(5.0, 950.0)
    assert types(session) == ["WELCOME"]
    session.tick(6.0, 1_940.0)
    assert types(session) == ["TOKEN_EXPIRING"]
    session.tick(7.0, 2_000.0)
    assert (types(session), session.ending) == ([], close_codes.TOKEN_EXPIRED)


def test_another_users_token_does_not_take_a_session_over() -> None:
    """AUTH again must name the same user."""
    session = session_at(Phase.OPEN)
    assert not session.authenticated(caller(UserId(uuid4())), "a", 1.0)
    assert session.user_id == ME
    assert received(session)[0]["data"]["code"] == "HX503"
    assert session.ending is close_codes.ANOTHER_USER


@pytest.mark.parametrize(
    ("code", "invariant", "ending"),
    [
        ("HX502", "TOKEN-INVALID", close_codes.TOKEN_REFUSED),
        ("HX503", "PERMISSION", close_codes.NOT_ALLOWED),
        ("UNAVAILABLE", "", close_codes.UNAVAILABLE),
    ],
)
def test_a_failed_auth_says_what_to_do_next(
    code: str, invariant: str, ending: close_codes.CloseCode
) -> None:
    """Fresh token, stop, or wait: by the range of the close code."""
    session = session_at(Phase.GREETING)
    session.not_joined(errors.refusal(code, invariant), "a", 1.0)
    assert received(session)[0]["data"]["code"] == code
    assert session.ending is ending


# ── Replay and WELCOME ───────────────────────────────────────────────────────────────────────────


def test_resume_writes_the_missed_events_then_welcome() -> None:
    """Exactly those after last_seq and up to the snapshot; later ones only after WELCOME."""
    session = session_at(Phase.AUTHENTICATING)
    assert session.begin(5, 2) == 2
    assert session.replay((event(n), durable(event(n))) for n in (3, 4, 5, 6))
    session.open(snapshot(5), never, "a")
    heard = received(session)
    assert [message.get("seq") for message in heard] == [3, 4, 5, None]
    assert heard[-1]["type"] == "WELCOME"
    assert heard[-1]["data"]["last_seq"] == 5
    session.push(6, durable(event(6)))
    assert [message["seq"] for message in received(session)] == [6]


def test_a_page_that_does_not_reach_the_snapshot_asks_for_the_next() -> None:
    """Replay goes page by page."""
    session = session_at(Phase.AUTHENTICATING)
    session.begin(4, 0)
    assert not session.replay((event(n), durable(event(n))) for n in (1, 2))
    assert session.replay((event(n), durable(event(n))) for n in (3, 4))


def test_without_last_seq_the_session_starts_at_the_present() -> None:
    """Nothing is replayed."""
    session = session_at(Phase.AUTHENTICATING)
    assert session.begin(9, None) is None
    session.open(snapshot(9), never, None)
    assert types(session) == ["WELCOME"]


def test_a_cursor_beyond_the_log_is_told_to_resync() -> None:
    """RESYNC AHEAD, then WELCOME with the log's own position."""
    session = session_at(Phase.AUTHENTICATING)
    assert session.begin(3, 8) is None
    session.open(snapshot(3), never, None)
    resync, welcome = received(session)
    assert (resync["type"], resync["data"]) == ("RESYNC", {"reason": "AHEAD"})
    assert welcome["data"]["last_seq"] == 3
    session.push(4, durable(event(4)))
    assert [message["seq"] for message in received(session)] == [4]


def test_a_push_before_welcome_is_not_lost() -> None:
    """It is noted, and the session is behind until the log was read."""
    session = session_at(Phase.AUTHENTICATING)
    session.push(4, durable(event(4)))
    assert types(session) == []
    session.begin(3, None)
    session.open(snapshot(3), never, None)
    assert session.behind
    session.push(4, durable(event(4)))
    assert types(session) == ["WELCOME", "NUDGE"]
    assert not session.behind


def test_a_second_auth_welcomes_again_without_repeating_events() -> None:
    """The token is refreshed; what came meanwhile is replayed once."""
    session = session_at(Phase.OPEN, seq=2)
    session.authenticated(caller(), "b", 5.0)
    session.push(3, durable(event(3)))
    assert session.begin(3, session.order.written) == 2
    session.replay([(event(3), durable(event(3)))])
    session.open(snapshot(3), never, "b")
    heard = received(session)
    assert [message["type"] for message in heard] == ["NUDGE", "WELCOME"]
    assert heard[-1]["id"] == "b"


# ── Order of durable events ──────────────────────────────────────────────────────────────────────


def test_an_event_after_a_gap_waits_for_the_log() -> None:
    """6 before 5 is not written; the log brings both."""
    session = session_at(Phase.OPEN, seq=4)
    assert not session.push(6, durable(event(6)))
    assert session.behind
    assert session.push(5, durable(event(5)))
    assert session.behind
    assert session.push(6, durable(event(6)))
    assert [message["seq"] for message in received(session)] == [5, 6]
    assert not session.behind


def test_a_repeated_event_is_dropped() -> None:
    """At most once on the socket."""
    session = session_at(Phase.OPEN, seq=4)
    session.push(5, durable(event(5)))
    assert not session.push(5, durable(event(5)))
    assert len(received(session)) == 1


def test_pong_tells_the_highest_seq_the_node_knows_of() -> None:
    """So that a client behind it notices."""
    session = session_at(Phase.OPEN, seq=4)
    session.push(9, durable(event(9)))
    session.receive('{"type":"PING","id":1}', 1.0, clock)
    (pong,) = received(session)
    assert (pong["type"], pong["id"], pong["data"]["last_seq"]) == ("PONG", 1, 9)
    assert pong["data"]["timestamp"] == "2030-01-01T00:00:00.000000Z"


# ── Cards ────────────────────────────────────────────────────────────────────────────────────────


def test_a_socket_gets_one_card_for_each_broadcast() -> None:
    """A repeat is not written but counts as on the screen."""
    session, offer = session_at(Phase.OPEN), card()
    assert show(session, offer)
    assert show(session, offer)
    assert types(session) == ["LIVE_TASK_BROADCAST"]


def test_cards_in_welcome_count_as_shown() -> None:
    """No second card for them, and they are closed like the others."""
    session, offer = session_at(Phase.AUTHENTICATING), card()
    session.begin(0, None)
    assert session.open(snapshot(0, offer), never, None) == [offer.broadcast_id]
    show(session, offer)
    assert types(session) == ["WELCOME"]
    close(session, offer)
    assert types(session) == ["LIVE_TASK_UNAVAILABLE"]


def test_only_a_socket_that_was_shown_the_card_is_told_that_it_is_gone() -> None:
    """Nobody hears of cards they never saw, nor twice."""
    session, offer = session_at(Phase.OPEN), card()
    close(session, offer)
    assert types(session) == []
    show(session, offer)
    close(session, offer)
    close(session, offer)
    assert types(session) == ["LIVE_TASK_BROADCAST", "LIVE_TASK_UNAVAILABLE"]


def test_a_card_that_comes_before_welcome_follows_it() -> None:
    """Buffered while the snapshot is read; not shown twice when the snapshot has it too."""
    session, early, both = session_at(Phase.AUTHENTICATING), card(), card()
    assert not show(session, early)
    assert not show(session, both)
    session.begin(0, None)
    shown = session.open(snapshot(0, both), never, None)
    assert shown == [both.broadcast_id, early.broadcast_id]
    assert types(session) == ["WELCOME", "LIVE_TASK_BROADCAST"]


def test_a_card_that_ended_while_the_snapshot_was_read_is_not_shown() -> None:
    """Neither from the snapshot nor from the buffer."""
    session, early, listed = session_at(Phase.AUTHENTICATING), card(), card()
    show(session, early)
    session.begin(0, None)
    assert session.open(snapshot(0, listed), lambda _: True, None) == []
    (welcome,) = received(session)
    assert welcome["data"]["offers"] == []


def test_a_hustler_who_became_busy_while_joining_sees_no_card() -> None:
    """The withdrawal beats a snapshot that is older than it."""
    session, early, listed = session_at(Phase.AUTHENTICATING), card(), card()
    show(session, early)
    session.withdraw()
    session.begin(0, None)
    assert session.open(snapshot(0, listed), never, None) == []


def test_a_withdrawn_card_is_waited_for_until_it_ends_or_is_declined() -> None:
    """Only while it may come back must the socket hear of its end."""
    session, ended, declined = session_at(Phase.OPEN), card(), card()
    for offer in (ended, declined):
        show(session, offer)
    session.withdraw()
    received(session)
    assert all(session.cards.awaits_end(offer.broadcast_id) for offer in (ended, declined))
    close(session, ended)
    assert not received(session)
    session.cards.answering(declined.broadcast_id)
    session.answered(BroadcastResponse(declined.broadcast_id, "DECLINED"), None)
    assert session.cards.broadcasts() == []
    assert not session.cards.has_withdrawn


def test_a_withdrawn_card_may_be_shown_again() -> None:
    """When the hustler is offerable again and the broadcast still runs."""
    session, offer = session_at(Phase.OPEN), card()
    show(session, offer)
    session.withdraw()
    withdrawn = received(session)[-1]
    assert withdrawn["data"]["reason"] == "WITHDRAWN"
    assert session.cards.has_withdrawn
    show(session, offer)
    assert types(session) == ["LIVE_TASK_BROADCAST"]
    assert not session.cards.has_withdrawn


def test_the_winner_is_told_won_and_not_that_the_card_is_gone() -> None:
    """The close message that overtakes the outcome is dropped."""
    session, offer = session_at(Phase.OPEN), card()
    show(session, offer)
    session.cards.answering(offer.broadcast_id)
    close(session, offer)
    session.withdraw()
    session.answered(BroadcastResponse(offer.broadcast_id, "WON"), "r")
    assert types(session) == ["LIVE_TASK_BROADCAST", "BROADCAST_RESPONSE"]
    assert offer.broadcast_id not in session.cards


def test_a_loser_hears_the_outcome_and_then_that_the_card_is_gone() -> None:
    """Also when the broadcast's end overtook the outcome."""
    session, offer = session_at(Phase.OPEN), card()
    show(session, offer)
    session.cards.answering(offer.broadcast_id)
    close(session, offer)
    session.answered(BroadcastResponse(offer.broadcast_id, "TAKEN"), "r")
    assert types(session) == ["LIVE_TASK_BROADCAST", "BROADCAST_RESPONSE", "LIVE_TASK_UNAVAILABLE"]


def test_a_refused_answer_leaves_the_card_on_the_screen() -> None:
    """ERROR to the request; the card still goes when its broadcast ends."""
    session, offer = session_at(Phase.OPEN), card()
    show(session, offer)
    session.cards.answering(offer.broadcast_id)
    session.answer_refused(offer.broadcast_id, errors.refusal("HX017", "LOCK"), "r", 1.0)
    error = received(session)[-1]
    assert (error["id"], error["data"]["code"], error["data"]["retryable"]) == ("r", "HX017", True)
    close(session, offer)
    assert types(session) == ["LIVE_TASK_UNAVAILABLE"]


@pytest.mark.parametrize("outcome", ["DECLINED", "SKIPPED"])
def test_an_answered_card_is_off_the_screen(outcome: Any) -> None:
    """What the hustler put away needs no close message."""
    session, offer = session_at(Phase.OPEN), card()
    show(session, offer)
    session.cards.answering(offer.broadcast_id)
    session.answered(BroadcastResponse(offer.broadcast_id, outcome), "r")
    close(session, offer)
    assert types(session) == ["LIVE_TASK_BROADCAST", "BROADCAST_RESPONSE"]


# ── Limits ───────────────────────────────────────────────────────────────────────────────────────


def test_a_message_over_16_kib_is_too_large_and_the_session_goes_on() -> None:
    """TOO_LARGE is an error, not a close."""
    session = session_at(Phase.OPEN)
    session.receive('{"type":"PING","id":"' + "x" * limits.MAX_MESSAGE_CHARS, 1.0, clock)
    assert received(session)[0]["data"]["code"] == "TOO_LARGE"
    session.receive('{"type":"PING"}', 1.0, clock)
    assert types(session) == ["PONG"]


def test_a_binary_frame_is_refused_and_the_session_goes_on() -> None:
    """The protocol is text."""
    session = session_at(Phase.OPEN)
    session.receive_binary(1.0)
    assert received(session)[0]["data"]["code"] == "VALIDATION_ERROR"
    assert session.ending is None


def test_too_many_of_one_kind_are_rate_limited_by_themselves() -> None:
    """A client that pings too much can still answer an offer."""
    session = session_at(Phase.OPEN)
    burst = int(limits.RATE_OF["PING"][1])
    for _ in range(burst + 1):
        session.receive('{"type":"PING"}', 1.0, clock)
    heard = received(session)
    assert [message["type"] for message in heard] == ["PONG"] * burst + ["ERROR"]
    assert heard[-1]["data"]["code"] == "RATE_LIMITED"
    assert heard[-1]["data"]["retry_after_seconds"] > 0
    answer = '{"type":"ACK","data":{"seq":0}}'
    assert session.receive(answer, 1.0, clock) is None
    assert types(session) == []


def test_all_kinds_together_have_a_limit_too() -> None:
    """Each kind within its own bounds, and still too many."""
    session = session_at(Phase.OPEN)
    refused = 0
    for kind in ("PING", "ACK", "SUBSCRIBE_TASK"):
        data = {"PING": "null", "ACK": '{"seq":0}', "SUBSCRIBE_TASK": f'{{"task_id":"{ME}"}}'}
        for _ in range(int(limits.RATE_OF[kind][1])):
            session.receive(f'{{"type":"{kind}","data":{data[kind]}}}', 1.0, clock)
        refused += types(session).count("ERROR")
    assert refused == sum(limits.RATE_OF[k][1] for k in data) - limits.RATE[1]


def test_a_flood_of_refused_messages_closes_the_session() -> None:
    """4200: wait before coming back."""
    session = session_at(Phase.OPEN)
    for _ in range(int(limits.FLOOD[1])):
        session.receive("{", 1.0, clock)
    assert session.ending is None
    session.receive("{", 1.0, clock)
    assert session.ending is close_codes.FLOOD


def test_silence_beyond_heartbeat_and_slack_is_noticed() -> None:
    """Any frame counts as a sign of life."""
    session = session_at(Phase.OPEN)
    session.receive('{"type":"PING"}', 40.0, clock)
    bound = limits.HEARTBEAT_S + limits.HEARTBEAT_SLACK_S
    assert not session.silent(40.0 + bound)
    assert session.silent(40.0 + bound + 0.01)
