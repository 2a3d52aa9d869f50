"""Badges: earned or granted by an audited admin, for good, shown once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from engine.kernel.errors import Refusal
from engine.kernel.ids import BadgeId, UserId
from tests.engine.progress.history_builder import HistoryBuilder, ask, refused
from tests.support.market import Market

ROLES = ("app", "owner")
BADGE = ("HX401", "BADGE")
INSERT = "insert into badges (user_id, badge_type) values ($1, $2)"


async def badges(market: Market, user: UserId) -> set[str]:
    """The types that a user sees."""
    return {badge.badge_type for badge in (await market.queries.progress.progress(user)).badges}


async def awarded(market: Market, hustler: UserId, count: int, *, live: int = 0) -> list[str]:
    """The badges unlocked by the last of so many paid tasks, yesterday."""
    history = HistoryBuilder(market, hustler)
    work = await history.completed(count - live) + await history.completed(live, "LIVE")
    received = [await ask(market, "award_xp", done.escrow) for done in work]
    return [data["badge_type"] for kind, data in received[-1] if kind == "BADGE_UNLOCKED"]


@pytest.mark.parametrize("role", ROLES)
async def test_a_badge_is_granted_only_when_it_is_earned(market: Market, role: str) -> None:
    """HX401 BADGE before the criterion holds; afterwards it comes by itself, once."""
    hustler = await market.user("hustler", trust_tier=1)
    for kind in ("FIRST_TASK", "STREAK_7", "LEVEL_5", "TRUSTED"):
        assert await refused(market, role, INSERT, hustler, kind) == BADGE
    assert await awarded(market, hustler, 1) == ["FIRST_TASK"]
    assert await awarded(market, hustler, 1, live=1) == ["FIRST_LIVE_TASK"]
    assert await badges(market, hustler) == {"FIRST_TASK", "FIRST_LIVE_TASK"}
    assert await refused(market, role, INSERT, hustler, "FIRST_TASK") == ("23505", "badges_once")
    assert await refused(market, role, INSERT, hustler, "TASKS_10") == BADGE


async def test_each_count_unlocks_at_its_border(market: Market) -> None:
    """Nothing at 9 and 49 tasks, a badge at 10 and 50, and by the level that they bring."""
    hustler = await market.user("hustler", trust_tier=1)
    assert await awarded(market, hustler, 9) == []
    assert await awarded(market, hustler, 1) == ["TASKS_10"]
    assert await awarded(market, hustler, 39) == []
    assert await awarded(market, hustler, 1) == ["TASKS_50"]
    assert "LEVEL_5" in await badges(market, hustler)
    assert "LEVEL_10" not in await badges(market, hustler)


async def test_a_streak_badge_comes_on_its_day_and_stays(market: Market) -> None:
    """On the 7th day in a row; a lost streak takes nothing away."""
    hustler = await market.user("hustler", trust_tier=1)
    noon = datetime(2026, 2, 1, 12, tzinfo=UTC)
    unlocked = []
    for day in (*range(7), 20):
        done = (await HistoryBuilder(market, hustler).completed(at=noon + timedelta(days=day)))[0]
        received = await ask(market, "award_xp", done.escrow)
        unlocked.append([data["badge_type"] for kind, data in received if kind == "BADGE_UNLOCKED"])
    assert ["STREAK_7" in kinds for kinds in unlocked] == [False] * 6 + [True, False]
    assert "STREAK_7" in await badges(market, hustler)


@pytest.mark.parametrize("role", ROLES)
async def test_a_badge_is_for_good(market: Market, role: str) -> None:
    """HX401 for delete, truncate and every update but the two that are written once."""
    hustler = await market.user("hustler")
    await awarded(market, hustler, 1)
    one = f"where user_id = '{hustler}'"
    for statement in (
        f"delete from badges {one}",
        "delete from badges where false",
        f"update badges set badge_type = 'ELITE' {one}",
        f"update badges set granted_at = now() {one}",
        f"update badges set granted_by = user_id {one}",
        f"update badges set revoked_at = now(), revoked_by = user_id {one}",
    ):
        assert await refused(market, role, statement) == BADGE, statement
    expected = ("42501", "") if role == "app" else BADGE
    assert await refused(market, role, "truncate badges") == expected

    show = f"update badges set animation_shown_at = hx_clock() {one}"
    assert await refused(market, role, show) == ("", "")
    assert await refused(market, role, show) == BADGE
    hide = f"update badges set animation_shown_at = null {one}"
    assert await refused(market, role, hide) == BADGE


async def test_the_second_device_learns_that_the_animation_was_shown(market: Market) -> None:
    """The first confirmation counts; somebody else's badge is not there."""
    hustler = await market.user("hustler")
    await awarded(market, hustler, 1)
    badge = (await market.queries.progress.progress(hustler)).badges[0]
    assert badge.animation_shown_at is None
    badge_id = BadgeId(badge.id)
    await market.commands.progress.show_badge(hustler, badge_id)
    first = await market.queries.progress.badge(badge_id)
    await market.commands.progress.show_badge(hustler, badge_id)
    assert await market.queries.progress.badge(badge_id) == first
    assert first.animation_shown_at is not None

    for user, which in ((await market.user("hustler"), badge_id), (hustler, BadgeId(uuid4()))):
        with pytest.raises(Refusal) as caught:
            await market.commands.progress.show_badge(user, which)
        assert caught.value.kind.code == "NOT_FOUND"


async def test_an_admin_grants_and_revokes_on_record(market: Market) -> None:
    """Each act leaves its row with a reason; who is no admin, or says no reason, is refused."""
    admin, hustler = await market.user("admin"), await market.user("hustler", trust_tier=1)
    grant = "select grant_badge($1, $2, 'TASKS_100', $3)"
    assert await refused(market, "app", grant, hustler, hustler, "me") == ("HX503", "PERMISSION")
    assert (await refused(market, "app", grant, admin, hustler, ""))[0] != ""
    forged = "insert into badges (user_id, badge_type, granted_by) values ($1, 'ELITE', $2)"
    for role in ROLES:
        assert await refused(market, role, forged, hustler, admin) == BADGE

    await market.app.execute(grant, admin, hustler, "He did them elsewhere")
    assert await badges(market, hustler) == {"TASKS_100"}
    for role in ROLES:  # one act, one badge
        assert await refused(market, role, forged, hustler, admin) == BADGE
    badge: UUID = await market.app.fetchval("select id from badges where user_id = $1", hustler)
    await market.app.execute("select revoke_badge($1, $2, $3)", admin, badge, "Wrong person")
    assert await badges(market, hustler) == set()
    row = await market.app.fetchrow("select * from badges where id = $1", badge)
    assert (row["granted_by"], row["revoked_by"]) == (admin, admin)
    acts = await market.app.fetch(
        "select action_type, reason from admin_actions where admin_id = $1 order by created_at",
        admin,
    )
    assert [tuple(act) for act in acts] == [
        ("GRANT_BADGE", "He did them elsewhere"),
        ("REVOKE_BADGE", "Wrong person"),
    ]
    undo = "update badges set revoked_at = null, revoked_by = null where id = $1"
    assert await refused(market, "owner", undo, badge) == BADGE
