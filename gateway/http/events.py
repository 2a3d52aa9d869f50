"""The event log over REST, for clients whose sockets are blocked and for long poll, and snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
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
    """GET /v1/events?after&wait&offers_tag; `wait` in seconds.

    With the tag of the offers that the caller has (empty for none yet), other ones are answered at
    once: an answer that was lost on its way delays nothing.
    """

    after: Seq = 0
    wait: Annotated[float, Meta(ge=0, le=limits.POLL_MAX_S)] = 0.0
    offers_tag: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET


class Event(Struct, frozen=True):
    """One durable event: what the socket would have said, and when it happened."""

    seq: int
    type: str
    data: dict[str, Any]
    at: datetime


class Events(Struct, frozen=True):
    """Events in order. `last_seq` is where the next call continues.

    `offers` is there when the caller's open offers changed, and when the wait ended without news;
    `offers_tag` is theirs.
    """

    events: list[Event]
    last_seq: int
    offers: list[OfferCard] | UnsetType = UNSET
    offers_tag: str | UnsetType = UNSET


class Resync(Struct, frozen=True):
    """The log cannot continue from `after`: read /v1/snapshot and go on from its `last_seq`."""

    resync: Literal["AHEAD", "TOO_OLD"]
    last_seq: int


async def after(parts: Parts, context: RequestContext[Nothing, EventsQuery]) -> Events | Resync:
    """The caller's events after a position, at once or when the first one comes."""
    offset = context.query.after
    log = await parts.queries.events.after(context.user_id, offset)
    offers = await _unknown_offers(parts, context)
    known = offers is UNSET and not log.events and log.last_seq >= offset
    if not (known and context.query.wait):
        return await _events_or_resync(parts, offset, log, offers)
    woken = await _woken(parts, context, offset)
    log = await parts.queries.events.after(context.user_id, offset)
    # A time-out tells the offers too: an answer before may have been lost with its connection.
    if woken in ("OFFERS", "TIMEOUT"):
        offers = await parts.queries.live.offers(context.user_id)
        if woken == "OFFERS" and await context.gone():
            parts.hub.polls.unread(context.user_id)
    return await _events_or_resync(parts, offset, log, offers)


async def _unknown_offers(
    parts: Parts, context: RequestContext[Nothing, EventsQuery]
) -> list[OfferCard] | UnsetType:
    """Returns the open offers of a caller who named the tag of others."""
    known = context.query.offers_tag
    if isinstance(known, UnsetType):
        return UNSET
    offers = await parts.queries.live.offers(context.user_id)
    return UNSET if tag_of(offers) == known else offers


def tag_of(offers: Sequence[OfferCard]) -> str:
    """Returns a name for these offers, whatever their order: two lists that differ have two."""
    named = sorted(f"{offer.broadcast_id}:{offer.task.version}" for offer in offers)
    return blake2b(" ".join(named).encode(), digest_size=8).hexdigest()


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
    if resync := resync_of(offset, log):
        return resync
    events = [
        Event(event.seq, event.type, codec.logged(event.type, event.data), event.at)
        for event in await rendering.complete(parts.queries.codes, log.events)
    ]
    tag = UNSET if isinstance(offers, UnsetType) else tag_of(offers)
    return Events(events, events[-1].seq if events else log.last_seq, offers, tag)


def resync_of(offset: int, log: EventPage) -> Resync | None:
    """Returns why the log cannot continue from this position; None where it can."""
    if log.last_seq < offset:
        return Resync("AHEAD", log.last_seq)
    first_seq = log.events[0].seq if log.events else log.last_seq + 1
    return Resync("TOO_OLD", log.last_seq) if first_seq != offset + 1 else None


async def snapshot(parts: Parts, context: RequestContext[Nothing, Nothing]) -> Snapshot:
    """Everything WELCOME carries: LIVE state, open offers, tasks, and where the log stands."""
    found = await parts.queries.events.snapshots([context.user_id])
    return found[context.user_id]
