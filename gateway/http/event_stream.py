"""The event log as server-sent events: one answer that goes on, for clients whose sockets are blocked.

Every durable event is an unnamed message, the same JSON as on the socket, and its `id` is its seq.
What has no seq is named: `offers` (all open ones, at the start and whenever they changed), `resync`
and `close`. Comments in between say that the stream lives.
"""

from __future__ import annotations

import random
import time
from typing import Annotated, Final

from msgspec import Meta, Struct

from engine.kernel import errors
from engine.kernel.applied import UserEvent
from engine.live.views import OfferCard
from gateway.contract import close_codes, encoding, limits
from gateway.contract.close_codes import CloseCode
from gateway.contract.fields import MAX_SEQ, Seq
from gateway.delivery.streams import Stream
from gateway.http import events
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext, StreamedResponse
from gateway.http.parts import Parts
from gateway.http.streaming import Write
from gateway.identity.auth import Caller
from gateway.session import rendering, session
from sql.database import DatabaseAway

MEDIA_TYPES: Final = ("text/event-stream",)
HEADERS: Final = {"X-Accel-Buffering": "no"}
"""Proxies that gather answers pass this one on as it comes."""
HEARTBEAT: Final = b":\n\n"


class StreamQuery(Sent, frozen=True):
    """GET /v1/events/stream?after; `Last-Event-ID` counts where both are given."""

    after: Seq = 0


class Offers(Struct, frozen=True):
    """All open offers of the caller."""

    offers: list[OfferCard]
    offers_tag: str


class Closing(Struct, frozen=True):
    """Why a stream ends, by the codes of the socket."""

    code: Annotated[int, Meta(ge=1000, le=4999)]
    name: str


async def stream(parts: Parts, context: RequestContext[Nothing, StreamQuery]) -> StreamedResponse:
    """The caller's events after a position, and whatever comes, as `text/event-stream`."""
    after = _cursor(context.last_event_id, context.query.after)
    parts.hub.polls.check_room()

    async def write_to(write: Write) -> None:
        await write(b"retry: %d\n\n" % limits.STREAM_RETRY_MS)
        try:
            with parts.hub.polls.stream(
                context.user_id, after, issued_at=context.caller.issued_at
            ) as opened:
                await _StreamWriter(parts, context.caller, opened, write).write_all()
            code = opened.closed or close_codes.RESTARTING
        except DatabaseAway:
            parts.metrics.requests.away("postgres")
            code = close_codes.UNAVAILABLE
        except errors.Refusal:
            code = close_codes.UNAVAILABLE
        await write(_close(code))

    return StreamedResponse(write_to, MEDIA_TYPES[0], HEADERS)


class _StreamWriter:
    """Writes what a stream has to tell, a page of the log at a time."""

    def __init__(self, parts: Parts, caller: Caller, stream: Stream, write: Write) -> None:
        self._parts = parts
        self._caller = caller
        self._stream = stream
        self._write = write

    async def write_all(self) -> None:
        """Returns when the stream was closed, or its token has ended."""
        stream = self._stream
        while stream.closed is None:
            if stream.is_behind:
                await self._write_events()
            elif stream.offers_changed:
                await self._write_offers()
            else:
                await self._write(HEARTBEAT)
            left_s = self._caller.expires_at - time.time()
            if left_s <= 0:
                stream.close(close_codes.TOKEN_EXPIRED)
            await stream.wait(min(limits.STREAM_HEARTBEAT_S, max(left_s, 0.0)))

    async def _write_events(self) -> None:
        """Writes the next page of the log; goes on from its end where it cannot continue."""
        stream, queries = self._stream, self._parts.queries
        stream.is_behind = False
        page = await queries.events.after(self._caller.user_id, stream.after)
        if resync := events.resync_of(stream.after, page):
            stream.after = resync.last_seq
            await self._write(_named("resync", resync, resync.last_seq))
            return
        if page.events:
            found = await rendering.complete(queries.codes, page.events)
            stream.after = found[-1].seq
            stream.is_behind = stream.is_behind or stream.after < page.last_seq
            await self._write(b"".join(_durable(event) for event in found))

    async def _write_offers(self) -> None:
        self._stream.offers_changed = False
        offers = await self._parts.queries.live.offers(self._caller.user_id)
        await self._write(_named("offers", Offers(offers, events.tag_of(offers))))


def _durable(event: UserEvent) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (event.seq, session.durable(event))


def _named(name: str, data: Struct, seq: int | None = None) -> bytes:
    place = b"" if seq is None else b"id: %d\n" % seq
    return b"%bevent: %b\ndata: %b\n\n" % (place, name.encode(), encoding.encode(data))


def _close(code: CloseCode) -> bytes:
    """Returns the last words; those of a stopping service spread who comes again."""
    closing = _named("close", Closing(code.code, code.name))
    if code is not close_codes.RESTARTING:
        return closing
    retry_ms = random.randint(*limits.STREAM_DRAIN_RETRY_MS)  # noqa: S311 - spreads, hides nothing
    return b"retry: %d\n%b" % (retry_ms, closing)


def _cursor(last_event_id: str | None, after: int) -> int:
    """Returns where to go on; VALIDATION_ERROR for an id that is none of ours."""
    if not last_event_id:
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit()) or int(last_event_id) > MAX_SEQ:
        raise errors.invalid_field("/Last-Event-ID", "is not the id of an event of this stream")
    return int(last_event_id)
