"""Nobody decides a case of their own: an admin has no stake in what the act is about (OWN-CASE)."""

from __future__ import annotations

from uuid import UUID, uuid4

from engine.kernel.ids import TaskId, UserId
from tests.sql.rules.rule_checker import RuleChecker, rule
from tests.support.market import Market

OWN_CASE = ("HX503", "OWN-CASE")
PERMISSION = ("HX503", "PERMISSION")
ACT = (
    "insert into admin_actions (admin_id, action_type, target_type, target_id, reason)"
    " values ($1, 'LOOK', 'case', $2, 'Why not.')"
)
OF_THE_TASK = {
    "task": "select id::text from tasks where id = $1",
    "proof": "select id::text from proofs where task_id = $1",
    "broadcast": "select id::text from live_broadcasts where task_id = $1",
    "escrow": "select id::text from escrows where task_id = $1",
    "payment": "select stripe_payment_intent_id from escrows where task_id = $1",
    "settlement": (
        "select s.id::text from settlements as s inner join escrows as e on e.id = s.escrow_id"
        " where e.task_id = $1"
    ),
    "payout": "select stripe_transfer_id from escrows where task_id = $1",
    "award": "select id::text from xp_ledger where task_id = $1",
    "chargeback": (
        "select c.id from chargebacks as c inner join escrows as e on e.id = c.escrow_id"
        " where e.task_id = $1"
    ),
}
"""What belongs to a task, each by the name that an act would give."""


async def promoted(market: Market, *users: UserId) -> None:
    """These accounts have become admins' since."""
    await market.owner.execute("update users set role = 'admin' where id = any($1)", list(users))


async def item_about(market: Market, subject: str, details: str = "{}") -> str:
    """An admin's item that names somebody's case."""
    found: UUID = await market.owner.fetchval(
        "insert into admin_items (kind, subject, details) values ('QUESTION', $1, $2::jsonb)"
        " returning id",
        subject,
        details,
    )
    return str(found)


async def charged_back(market: Market) -> tuple[TaskId, UserId, UserId]:
    """A paid task that its poster's bank took back; poster and hustler are admins now."""
    task, hustler = await market.completed()
    # names that say nothing of our own ids, as a provider's do
    await market.app.execute(
        "select book_leg(s.id, 'TRANSFER', 'tr_' || md5(s.id::text)), book_chargeback("
        "jsonb_build_object('reference', 'dp_' || md5(s.id::text), 'payment',"
        " e.stripe_payment_intent_id, 'amount_cents', e.amount), 'DISPUTED')"
        " from escrows as e inner join settlements as s on s.escrow_id = e.id where e.task_id = $1",
        task,
    )
    poster = await market.poster_of(task)
    await promoted(market, poster, hustler)
    return task, poster, hustler


async def decorated(market: Market, user: UserId) -> None:
    """A badge that an admin granted, its row by hand."""
    admin = await market.user("admin")
    await market.owner.execute(
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason, metadata)"
        " values ($1, 'GRANT_BADGE', 'user', $2, 'Won a bet.', '{\"badge_type\": \"TASKS_50\"}')",
        admin,
        str(user),
    )
    await market.owner.execute(
        "insert into badges (user_id, badge_type, granted_at, granted_by)"
        " values ($1, 'TASKS_50', hx_clock(), $2)",
        user,
        admin,
    )


@rule("admin_actions.admin_action_guard")
async def no_admin_acts_on_what_belongs_to_a_task_of_their_own(checker: RuleChecker) -> None:
    """HX503 by whatever name the act calls it, through an admin's item too; another's is free."""
    market = checker.market
    task, poster, hustler = await charged_back(market)
    other, _ = await market.paid()
    for what, query in OF_THE_TASK.items():
        about = await checker.value(query, task)
        assert isinstance(about, str), what
        item = await item_about(market, about)
        named = await item_about(market, uuid4().hex, f'{{"reference": "{about}"}}')
        for side in (poster, hustler):
            for target in (about, item, named):
                await checker.refuses(OWN_CASE, ACT, side, target)
    for side in (poster, hustler):
        await checker.refuses(OWN_CASE, ACT, side, str(side))
        await checker.refuses(OWN_CASE, ACT, side, side.hex.upper())
        await checker.refuses(OWN_CASE, ACT, side, task.hex)
        await checker.allows(ACT, side, str(other))
        await checker.allows(ACT, side, "nothing at all")


@rule("admin_actions.admin_action_guard")
async def no_admin_acts_on_an_account_or_a_badge_of_their_own(checker: RuleChecker) -> None:
    """HX503: nobody raises, frees or pays themselves."""
    market = checker.market
    admin, badge = await market.user("hustler"), "select id::text from badges where user_id = $1"
    await decorated(market, admin)
    await market.app.execute(
        "select set_payout_account($1::uuid, 'acct_' || md5($1::uuid::text), true)", admin
    )
    await promoted(market, admin)
    account: str = await market.app.fetchval(
        "select account_id from payout_accounts where user_id = $1", admin
    )
    account = await item_about(market, account)
    for about in (str(admin), await checker.value(badge, admin), account):
        await checker.refuses(OWN_CASE, ACT, admin, about)
    await checker.allows(ACT, admin, str(await market.user("hustler")))


@rule("admin_actions.admin_action_guard")
async def a_line_of_tasks_is_one_case(checker: RuleChecker) -> None:
    """HX503 for who released the predecessor and for who holds the successor, about either."""
    market = checker.market
    task, releaser = await market.accepted("STANDARD")
    await market.commands.tasks.release(releaser, task, None)
    successor = TaskId(
        await market.app.fetchval("select id from tasks where predecessor_id = $1", task)
    )
    holder = await market.user("hustler")
    await market.commands.live.accept(holder, successor)
    await promoted(market, releaser, holder)
    for side in (releaser, holder):
        for about in (task, successor):
            await checker.refuses(OWN_CASE, ACT, side, str(about))


DECIDE = (
    "update disputes set state = 'RESOLVED', outcome = 'POSTER', release_amount = 0,"
    " refund_amount = 4000, resolved_by = $2, resolution = 'Mine.', resolved_at = hx_clock()"
    " where task_id = $1"
)
RULING = (
    "insert into admin_actions (admin_id, action_type, target_type, target_id, reason, metadata)"
    " select $2, 'RESOLVE_DISPUTE', 'dispute', id, 'Mine.',"
    " jsonb_build_object('outcome', 'POSTER', 'release_cents', 0)"
    " from disputes where task_id = $1"
)


@rule("disputes.dispute_guard", "admin_actions.admin_action_guard")
async def nobody_decides_a_dispute_of_their_own(checker: RuleChecker) -> None:
    """HX503 for either side and for who opened it, though an act of old stood on record."""
    market = checker.market
    task, hustler = await market.disputed()
    poster = await market.poster_of(task)
    await promoted(market, poster, hustler)
    stopped, _ = await market.working()
    opener, other = await market.user("admin"), await market.user("admin")
    await market.app.execute("select admin_dispute_task($1, $2, 'Stuck')", opener, stopped)
    for case, admin in ((task, poster), (task, hustler), (stopped, opener)):
        await checker.refuses(OWN_CASE, RULING, case, admin)
        await checker.refuses(OWN_CASE, DECIDE, case, admin)
        async with checker.behind("admin_actions.admin_action_guard") as alone:
            await alone.does(RULING, case, admin)
            await alone.refuses(OWN_CASE, DECIDE, case, admin)
    async with checker.behind() as whole:
        await whole.does(RULING, stopped, other)
        await whole.allows(DECIDE, stopped, other)


@rule("disputes.dispute_guard")
async def no_admin_opens_a_dispute_over_a_task_of_their_own(checker: RuleChecker) -> None:
    """HX503 as ADMIN; as the side that they are they may."""
    market = checker.market
    task, hustler = await market.working()
    await promoted(market, hustler)
    dispute = (
        "insert into disputes (task_id, escrow_id, opened_by, side, reason, evidence_due_at)"
        " select $1, id, $2, $3, 'why', hx_clock() from escrows where task_id = $1"
    )
    await checker.refuses(OWN_CASE, dispute, task, hustler, "ADMIN")
    await checker.allows(dispute, task, hustler, "HUSTLER")
    await checker.allows(dispute, task, await market.user("admin"), "ADMIN")


@rule("admin_items.admin_item_guard")
async def nobody_closes_an_item_about_their_own_case(checker: RuleChecker) -> None:
    """HX503; another admin may, and it may close by itself."""
    market = checker.market
    task, hustler = await market.accepted("STANDARD")
    await promoted(market, hustler)
    item = UUID(await item_about(market, str(task)))
    close = "update admin_items set closed_at = hx_clock(), closed_by = $2 where id = $1"
    await checker.refuses(OWN_CASE, close, item, hustler)
    await checker.allows(close, item, await market.user("admin"))
    await checker.allows(close, item, None)


@rule("badges.badge_grant_guard", "badges.badge_guard")
async def nobody_grants_or_revokes_a_badge_of_their_own(checker: RuleChecker) -> None:
    """HX503, though an act of old stood on record."""
    market = checker.market
    admin = await market.user("hustler")
    await decorated(market, admin)
    await promoted(market, admin)
    grant = "insert into badges (user_id, badge_type, granted_by) values ($1, 'TASKS_10', $2)"
    revoke = "update badges set revoked_at = hx_clock(), revoked_by = $1 where user_id = $1"
    act = (
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason, metadata)"
        " select $1, $2, 'badge', $3, 'Mine.', jsonb_build_object('badge_type', 'TASKS_10')"
    )
    badge = await checker.value("select id::text from badges where user_id = $1", admin)
    async with checker.behind("admin_actions.admin_action_guard") as alone:
        await alone.does(act, admin, "GRANT_BADGE", str(admin))
        await alone.refuses(OWN_CASE, grant, admin, admin)
        await alone.does(act, admin, "REVOKE_BADGE", badge)
        await alone.refuses(OWN_CASE, revoke, admin)
    other = await market.user("hustler")
    async with checker.behind() as whole:
        await whole.does(act, admin, "GRANT_BADGE", str(other))
        await whole.allows(grant, other, admin)


@rule("xp_flags.xp_flag_guard")
async def an_award_is_marked_by_an_admin_who_did_not_earn_it(checker: RuleChecker) -> None:
    """HX503; the service marks through its function, which asks the same."""
    market = checker.market
    task, hustler = await market.paid("STANDARD")
    await promoted(market, hustler)
    mark = "insert into xp_flags (ledger_id, flagged_by, reason) select id, $2, 'Odd.' from xp_ledger where task_id = $1"
    if checker.role == "app":
        mark = "select flag_xp($2, id, 'Odd.') from xp_ledger where task_id = $1"
    await checker.refuses(OWN_CASE, mark, task, hustler)
    await checker.refuses(PERMISSION, mark, task, await market.user("dual"))
    await checker.allows(mark, task, await market.user("admin"))


@rule("tasks.task_poster_guard")
async def an_admin_posts_no_task(checker: RuleChecker) -> None:
    """HX503 for whose role may not post; a successor goes on for a poster who became an admin."""
    market = checker.market
    post = (
        "insert into tasks (state, title, description, category, price, location_lat, location_lng,"
        " place_lat, place_lng, partition, poster_id%s)"
        " values ('OPEN', 't', 'd', 'c', 4000, 1, 1, 1, 1, 0, $1%s)"
    )
    for role in ("admin", "hustler"):
        await checker.refuses(PERMISSION, post % ("", ""), await market.user(role))
    for role in ("poster", "dual"):
        await checker.allows(post % ("", ""), await market.user(role))
    task, _ = await market.accepted("STANDARD")
    poster = await market.poster_of(task)
    await promoted(market, poster)
    await checker.does("update tasks set state = 'CANCELLED' where id = $1", task)
    await checker.allows(post % (", predecessor_id", f", '{task}'"), poster)
