"""Accounts as an admin sees and changes them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.kernel.ids import AwardId, BadgeId, UserId
from engine.live.admin import LiveAct
from engine.people.admin_views import UserFile
from engine.progress.admin_views import XpRowView
from gateway.contract.fields import FieldRefused, Instant, Text
from gateway.http.admin.shapes import Why, name
from gateway.http.decoding import Nothing, Sent
from gateway.http.endpoint import RequestContext
from gateway.http.parts import Parts
from gateway.identity import security_log

BadgeType = Annotated[str, name("A-Z0-9_", 60, "1 to 60 capital letters, digits and underscores")]


class LiveBan(Sent, frozen=True):
    """POST …/live-ban; `until` null lifts a ban."""

    until: Instant | None
    reason: Text

    def __post_init__(self) -> None:
        self._in_utc("until", self.until)


class LiveOverride(Sent, frozen=True):
    """POST …/live; `until`, at most seven days ahead, goes with SET_COOLDOWN."""

    act: LiveAct
    reason: Text
    until: Instant | None = None

    def __post_init__(self) -> None:
        if (self.act == "SET_COOLDOWN") != (self.until is not None):
            raise FieldRefused("until", "belongs to SET_COOLDOWN, and to nothing else")
        self._in_utc("until", self.until)


class TrustTier(Sent, frozen=True):
    """POST …/trust-tier."""

    tier: Annotated[int, Meta(ge=1, le=4)]
    reason: Text


class BadgeGrant(Sent, frozen=True):
    """POST …/badges."""

    badge_type: BadgeType
    reason: Text


async def show(parts: Parts, context: RequestContext[Nothing, Nothing]) -> UserFile:
    """One account, with its newest XP awards and their flags."""
    return await parts.admin.people.user(context.id(UserId))


async def suspend(parts: Parts, context: RequestContext[Why, Nothing]) -> UserFile:
    """Shut an account; its LIVE session ends."""
    user = context.id(UserId)
    await parts.admin.people.suspend(context.user_id, user, context.body.reason)
    parts.authenticator.forget({user})
    return await parts.admin.people.user(user)


async def revoke_sessions(parts: Parts, context: RequestContext[Why, Nothing]) -> UserFile:
    """Refuse every token the user has by now, and close the sessions; the account stays open."""
    user = context.id(UserId)
    await parts.admin.people.revoke_sessions(context.user_id, user, context.body.reason)
    security_log.token_revoked(user=user)
    parts.authenticator.forget({user})
    return await parts.admin.people.user(user)


async def reinstate(parts: Parts, context: RequestContext[Why, Nothing]) -> UserFile:
    """Open a shut account again."""
    user = context.id(UserId)
    await parts.admin.people.reinstate(context.user_id, user, context.body.reason)
    return await parts.admin.people.user(user)


async def live_ban(parts: Parts, context: RequestContext[LiveBan, Nothing]) -> UserFile:
    """No LIVE mode until then; null lifts the ban."""
    user = context.id(UserId)
    if context.body.until is None:
        await parts.admin.live.lift_ban(context.user_id, user, context.body.reason)
    else:
        await parts.admin.live.ban(context.user_id, user, context.body.until, context.body.reason)
    return await parts.admin.people.user(user)


async def live(parts: Parts, context: RequestContext[LiveOverride, Nothing]) -> UserFile:
    """End one LIVE session or one cooldown, or set a cooldown, without a ban."""
    user = context.id(UserId)
    await parts.admin.live.act(
        context.user_id, user, context.body.act, context.body.until, context.body.reason
    )
    return await parts.admin.people.user(user)


async def trust_tier(parts: Parts, context: RequestContext[TrustTier, Nothing]) -> UserFile:
    """Put a hustler on another tier."""
    user = context.id(UserId)
    await parts.admin.progress.set_trust_tier(
        context.user_id, user, context.body.tier, context.body.reason
    )
    return await parts.admin.people.user(user)


async def grant_badge(parts: Parts, context: RequestContext[BadgeGrant, Nothing]) -> UserFile:
    """Grant a badge that was not earned by its rule."""
    user = context.id(UserId)
    await parts.admin.progress.grant_badge(
        context.user_id, user, context.body.badge_type, context.body.reason
    )
    return await parts.admin.people.user(user)


async def revoke_badge(parts: Parts, context: RequestContext[Why, Nothing]) -> None:
    """Hide a badge that was granted in error."""
    await parts.admin.progress.revoke_badge(
        context.user_id, context.id(BadgeId), context.body.reason
    )


async def flag_xp(parts: Parts, context: RequestContext[Why, Nothing]) -> XpRowView:
    """Mark a row of the XP ledger as wrong; the row stays as it is."""
    award = context.id(AwardId)
    await parts.admin.progress.flag_xp(context.user_id, award, context.body.reason)
    return await parts.admin.progress.xp_row(award)
