"""The small pure parts: buckets, queues, memories, long polls, close codes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from gateway.contract import close_codes, limits
from gateway.contract.close_codes import Action
from gateway.delivery.ended_broadcasts import EndedBroadcasts
from gateway.delivery.fanout import Fanout
from gateway.delivery.poller import Poller
from gateway.delivery.streams import Stream
from gateway.identity.token_bucket import TokenBucket
from gateway.session.frames import text_frame
from gateway.session.outbound import Outbound

# ── Token bucket ─────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.floats(0, 5), max_size=60), st.floats(0.1, 50), st.floats(1, 50))
def test_a_bucket_never_gives_more_than_its_rate_and_burst(
    pauses: list[float], rate: float, burst: float
) -> None:
    """Whatever the rhythm: at most burst + rate × time."""
    bucket, now, taken = TokenBucket(rate, burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now) == 0.0
        assert taken <= burst + rate * now + 1e-6


def test_an_empty_bucket_says_when_to_come_back() -> None:
    """Waiting that long gives exactly one token."""
    bucket = TokenBucket(2.0, 1.0, 0.0)
    assert bucket.take(0.0) == 0.0
    wait_s = bucket.take(0.0)
    assert wait_s == pytest.approx(0.5)
    assert bucket.take(wait_s) == 0.0
    assert bucket.take(wait_s) > 0.0


# ── Outbound ─────────────────────────────────────────────────────────────────────────────────────


def test_a_client_that_takes_nothing_of_what_waits_stalls() -> None:
    """However little it is, and not before its time."""
    outbound = Outbound(0.0)
    assert not outbound.stalls(0.5, 0)
    outbound.written_bytes += 10
    assert not outbound.stalls(0.5 + limits.MAX_OUTBOUND_STALL_S, 10)
    assert outbound.stalls(0.6 + limits.MAX_OUTBOUND_STALL_S, 10)


def test_a_client_that_reads_slowly_does_not_stall() -> None:
    """However much waits, and however slowly it gets less."""
    outbound = Outbound(0.0)
    outbound.written_bytes += 1_000_000
    for second in range(1, 60):
        assert not outbound.stalls(5.0 * second, 1_000_000 - second)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_frame_is_what_a_server_of_rfc_6455_sends(size: int) -> None:
    """Byte for byte as the websockets library writes it."""
    payload = b"x" * size
    expected = Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert text_frame(payload) == expected


# ── Ended broadcasts ─────────────────────────────────────────────────────────────────────────────


def test_an_ended_broadcast_is_remembered_for_a_quarter_of_an_hour() -> None:
    """A late card of it is dropped until then; a repeated end renews the memory."""
    ended, first, second = EndedBroadcasts(), uuid4(), uuid4()
    assert ended.add(first, 0.0)
    assert ended.add(second, 10.0)
    assert not ended.add(first, 20.0)
    ended.forget(limits.CLOSED_REMEMBERED_S + 15.0)
    assert first in ended
    assert second not in ended
    ended.forget(limits.CLOSED_REMEMBERED_S + 20.0)
    assert first not in ended


# ── Fan-out ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_fan_out_gives_the_loop_back_after_each_slice() -> None:
    """At most 256 writes per turn, in order, a broken job does not stop the next."""
    written: list[int] = []

    def job(count: int) -> Iterator[None]:
        for number in range(count):
            written.append(number)
            yield

    def broken() -> Iterator[None]:
        yield
        raise ValueError("a defect")

    fanout = Fanout()
    fanout.start(job(limits.FANOUT_SLICE + 10))
    assert len(written) == limits.FANOUT_SLICE
    fanout.start(broken())
    fanout.start(job(1))
    assert len(written) == limits.FANOUT_SLICE
    running = asyncio.create_task(fanout.run())
    await asyncio.sleep(0.01)
    running.cancel()
    assert written == [*range(limits.FANOUT_SLICE + 10), 0]


# ── Long polls ───────────────────────────────────────────────────────────────────────────────────


async def test_a_poll_wakes_for_a_later_event_only() -> None:
    """The caller has what it asked after."""
    poller = Poller()
    woken = poller.begin(5)
    assert poller.offset == 5
    poller.event(5)
    assert not woken.done()
    poller.event(6)
    assert woken.result() == "EVENT"
    assert not poller.waiting


async def test_an_offer_counts_as_told_once_a_poll_was_there() -> None:
    """Before that it is kept for the next poll; a repeat wakes nobody."""
    poller, offer = Poller(), uuid4()
    assert not poller.offer(offer)
    first = poller.begin(0)
    assert first.result() == "OFFERS"
    second = poller.begin(0)
    assert poller.offer(offer)
    assert not second.done()
    poller.gone(offer)
    assert second.result() == "OFFERS"


async def test_a_change_between_two_polls_ends_the_next_at_once() -> None:
    """An offer that was told and is gone, or was withdrawn."""
    poller, offer = Poller(), uuid4()
    poller.begin(0)
    assert poller.offer(offer)
    poller.withdraw()
    assert poller.begin(0).result() == "OFFERS"
    assert not poller.begin(0).done()


async def test_a_fifth_poll_of_a_user_releases_the_oldest() -> None:
    """Told that nothing happened, as at the end of its wait; the others wait on."""
    poller = Poller()
    polls = [poller.begin(0) for _ in range(limits.POLLS_PER_USER + 1)]
    assert polls[0].result() == "TIMEOUT"
    assert not any(poll.done() for poll in polls[1:])


async def test_stopping_releases_every_poll() -> None:
    """A restart does not wait 25 s."""
    poller = Poller()
    polls = [poller.begin(0), poller.begin(3)]
    poller.stop()
    assert [poll.result() for poll in polls] == ["STOPPING", "STOPPING"]


async def test_an_answer_that_nobody_read_and_the_end_of_a_stream_leave_the_next_poll_news() -> (
    None
):
    """What only an answer on its way has told is told again, once."""
    poller, offer, stream = Poller(), uuid4(), Stream(0)
    poller.follow(stream)
    assert poller.offer(offer)
    poller.unfollow(stream, 0.0)
    assert poller.begin(0).result() == "OFFERS"
    poller.unread()
    assert poller.begin(0).result() == "OFFERS"
    assert not poller.begin(0).done()


async def test_a_stream_notes_what_happens_while_it_is_written_to() -> None:
    """By flags, not by a queue: its bound is what one read of the log returns."""
    poller, stream = Poller(), Stream(4)
    poller.follow(stream)
    stream.is_behind = stream.offers_changed = False
    poller.event(4)
    assert not stream.is_behind
    for seq in range(5, 5_000):
        poller.event(seq)
    poller.offer(uuid4())
    assert (stream.is_behind, stream.offers_changed, stream.closed) == (True, True, None)
    poller.stop()
    assert stream.closed is close_codes.RESTARTING


# ── Close codes ──────────────────────────────────────────────────────────────────────────────────


def test_the_range_of_a_close_code_says_what_to_do() -> None:
    """The contract's four ranges, and what a lost connection means."""
    wanted = {
        1006: Action.RESUME,
        1012: Action.RESUME,
        1009: Action.STOP,
        4000: Action.RESUME,
        4103: Action.FRESH_AUTH,
        4200: Action.WAIT,
        4203: Action.WAIT,
        4304: Action.STOP,
    }
    assert {code: close_codes.action(code) for code in wanted} == wanted


def test_close_codes_are_unique_and_short_enough_to_send() -> None:
    """A close frame holds 123 bytes of reason."""
    codes = [code.code for code in close_codes.ALL]
    assert len(set(codes)) == len(codes)
    assert all(len(code.meaning.encode()) <= 123 for code in close_codes.ALL)
