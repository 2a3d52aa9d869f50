"""Accounts as an operator sees and changes them."""

from __future__ import annotations

from engine.kernel.ids import AwardId, BadgeId, UserId
from engine.people.admin_views import UserFile
from engine.progress.admin_views import XpRowView
from gateway.http.admin.requests import BadgeGrant, LiveBan, LiveOverride, TrustTier, Why
from gateway.http.endpoint import Ask
from gateway.http.parts import Parts
from gateway.http.requests import Nothing


async def show(parts: Parts, ask: Ask[Nothing, Nothing]) -> UserFile:
    """One account, with its newest XP awards and their flags."""
    return await parts.admin.people.user(UserId(ask.path["user_id"]))


async def suspend(parts: Parts, ask: Ask[Why, Nothing]) -> UserFile:
    """Shut an account; its LIVE session ends."""
    user = UserId(ask.path["user_id"])
    await parts.admin.people.suspend(ask.user_id, user, ask.body.reason)
    parts.authenticator.forget(user)
    return await parts.admin.people.user(user)


async def reinstate(parts: Parts, ask: Ask[Why, Nothing]) -> UserFile:
    """Open a shut account again."""
    user = UserId(ask.path["user_id"])
    await parts.admin.people.reinstate(ask.user_id, user, ask.body.reason)
    return await parts.admin.people.user(user)


async def live_ban(parts: Parts, ask: Ask[LiveBan, Nothing]) -> UserFile:
    """No LIVE mode until then; null lifts the ban."""
    user = UserId(ask.path["user_id"])
    if ask.body.until is None:
        await parts.admin.live.lift_ban(ask.user_id, user, ask.body.reason)
    else:
        await parts.admin.live.ban(ask.user_id, user, ask.body.until, ask.body.reason)
    return await parts.admin.people.user(user)


async def live(parts: Parts, ask: Ask[LiveOverride, Nothing]) -> UserFile:
    """End one LIVE session or one cooldown, or set a cooldown, without a ban."""
    user = UserId(ask.path["user_id"])
    await parts.admin.live.act(ask.user_id, user, ask.body.act, ask.body.until, ask.body.reason)
    return await parts.admin.people.user(user)


async def trust_tier(parts: Parts, ask: Ask[TrustTier, Nothing]) -> UserFile:
    """Put a hustler on another tier."""
    user = UserId(ask.path["user_id"])
    await parts.admin.progress.set_trust_tier(ask.user_id, user, ask.body.tier, ask.body.reason)
    return await parts.admin.people.user(user)


async def grant_badge(parts: Parts, ask: Ask[BadgeGrant, Nothing]) -> UserFile:
    """Grant a badge that was not earned by its rule."""
    user = UserId(ask.path["user_id"])
    await parts.admin.progress.grant_badge(ask.user_id, user, ask.body.badge_type, ask.body.reason)
    return await parts.admin.people.user(user)


async def revoke_badge(parts: Parts, ask: Ask[Why, Nothing]) -> None:
    """Hide a badge that was granted in error."""
    await parts.admin.progress.revoke_badge(
        ask.user_id, BadgeId(ask.path["badge_id"]), ask.body.reason
    )


async def flag_xp(parts: Parts, ask: Ask[Why, Nothing]) -> XpRowView:
    """Mark a row of the XP ledger as wrong; the row stays as it is."""
    award = AwardId(ask.path["award_id"])
    await parts.admin.progress.flag_xp(ask.user_id, award, ask.body.reason)
    return await parts.admin.progress.xp_row(award)
