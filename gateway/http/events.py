"""The event log over REST, for clients whose sockets are blocked and for long poll, and snapshots."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.events.queries import EventPage
from engine.events.views import Snapshot
from engine.live.views import OfferCard
from gateway.contract import codec, limits
from gateway.contract.fields import Seq
from gateway.delivery.poller import Woken
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts
from gateway.session import rendering

GONE_EVERY_S: Final = 0.5
"""How often a waiting caller is looked after."""


class EventsQuery(Sent, frozen=True):
    """GET /v1/events?after&wait; `wait` in seconds."""

    after: Seq = 0
    wait: Annotated[float, Meta(ge=0, le=limits.POLL_MAX_S)] = 0.0


class Event(Struct, frozen=True):
    """One durable event: what the socket would have said, and when it happened."""

    seq: int
    type: str
    data: dict[str, Any]
    at: datetime


class Events(Struct, frozen=True):
    """Events in order. `last_seq` is where the next call continues.

    `offers` is there when the caller's open offers changed, and when the wait ended without news.
    """

    events: list[Event]
    last_seq: int
    offers: list[OfferCard] | UnsetType = UNSET


class Resync(Struct, frozen=True):
    """The log cannot continue from `after`: read /v1/snapshot and go on from its `last_seq`."""

    resync: Literal["AHEAD", "TOO_OLD"]
    last_seq: int


async def after(parts: Parts, context: RequestContext[Nothing, EventsQuery]) -> Events | Resync:
    """The caller's events after a position, at once or when the first one comes."""
    offset = context.query.after
    log = await parts.queries.events.after(context.user_id, offset)
    if log.events or log.last_seq < offset or not context.query.wait:
        return await _events_or_resync(parts, offset, log)
    woken = await _woken(parts, context, offset)
    log = await parts.queries.events.after(context.user_id, offset)
    # A time-out tells the offers too: an answer before may have been lost with its connection.
    changed = woken in ("OFFERS", "TIMEOUT")
    offers = await parts.queries.live.offers(context.user_id) if changed else UNSET
    return await _events_or_resync(parts, offset, log, offers)


async def _woken(parts: Parts, context: RequestContext[Nothing, EventsQuery], offset: int) -> Woken:
    """Waits for news, or until the caller disconnects; returns what ended the wait.

    A closed connection must not consume news.
    """
    waiting = asyncio.create_task(
        parts.hub.polls.wait_for(
            context.user_id,
            offset,
            context.query.wait,
            issued_at=context.caller.issued_at,
        )
    )
    try:
        while not (await asyncio.wait({waiting}, timeout=GONE_EVERY_S))[0]:
            if await context.gone():
                return "STOPPING"
        return await waiting
    finally:
        waiting.cancel()


async def _events_or_resync(
    parts: Parts,
    offset: int,
    log: EventPage,
    offers: list[OfferCard] | UnsetType = UNSET,
) -> Events | Resync:
    """Returns a page of the log as an answer, or RESYNC where the log cannot continue."""
    if log.last_seq < offset:
        return Resync("AHEAD", log.last_seq)
    first_seq = log.events[0].seq if log.events else log.last_seq + 1
    if first_seq != offset + 1:
        return Resync("TOO_OLD", log.last_seq)
    events = [
        Event(event.seq, event.type, codec.logged(event.type, event.data), event.at)
        for event in await rendering.complete(parts.queries.codes, log.events)
    ]
    return Events(events, events[-1].seq if events else log.last_seq, offers)


async def snapshot(parts: Parts, context: RequestContext[Nothing, Nothing]) -> Snapshot:
    """Everything WELCOME carries: LIVE state, open offers, tasks, and where the log stands."""
    found = await parts.queries.events.snapshots([context.user_id])
    return found[context.user_id]
