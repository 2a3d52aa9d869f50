"""The database is the judge: each invariant holds for any writer, as the app role and as the owner.

Every rule has its refusal (with the HX code and the invariant's name) and the case it allows.
"""

from __future__ import annotations

import asyncpg
import pytest

from engine.kernel.states import Mode
from tests.support.market import Market

ROLES = ("app", "owner")


async def refused(connection: asyncpg.Connection, statement: str, *args: object) -> tuple[str, str]:
    """The SQLSTATE and constraint a statement is refused with."""
    with pytest.raises(asyncpg.PostgresError) as caught:
        await connection.execute(statement, *args)
    return str(caught.value.sqlstate), str(getattr(caught.value, "constraint_name", "") or "")


def as_role(market: Market, role: str) -> asyncpg.Connection:
    """The raw connection of a role."""
    return market.app if role == "app" else market.owner


@pytest.mark.parametrize("role", ROLES)
async def test_an_ended_task_is_frozen_but_for_updated_at(market: Market, role: str) -> None:
    """HX001 TASK-TERMINAL."""
    task = await market.task()
    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    db = as_role(market, role)

    for change in ("title = 'Hacked'", "state = 'MATCHING'", "price = 9000", "cancel_reason = 'x'"):
        got = await refused(db, f"update tasks set {change} where id = $1", task)
        assert got == ("HX001", "TASK-TERMINAL"), change
    await db.execute("update tasks set updated_at = hx_clock() where id = $1", task)


@pytest.mark.parametrize("role", ROLES)
async def test_a_task_moves_only_along_the_transition_table(market: Market, role: str) -> None:
    """HX010 TRANSITION for every pair of states that no row allows, from each reachable state."""
    db = as_role(market, role)
    allowed = {
        (row["from_state"], row["to_state"])
        for row in await db.fetch(
            "select from_state, to_state from lifecycle where machine = 'task'"
        )
    }
    states = (
        "OPEN",
        "MATCHING",
        "ACCEPTED",
        "WORKING",
        "PROOF_SUBMITTED",
        "DISPUTED",
        "COMPLETED",
        "CANCELLED",
        "EXPIRED",
    )
    working, hustler = await market.accepted("STANDARD")
    await market.commands.tasks.start(hustler, working, market.codes.code(working, "START", 1))
    reached = {
        "OPEN": await market.task("STANDARD"),
        "MATCHING": await market.task(),
        "ACCEPTED": (await market.accepted())[0],
        "WORKING": working,
        "PROOF_SUBMITTED": (await market.submitted())[0],
    }

    for start, task in reached.items():
        for goal in states:
            if goal == start or (start, goal) in allowed:
                continue
            code, name = await refused(db, "update tasks set state = $2 where id = $1", task, goal)
            # a forged COMPLETED or PROOF_SUBMITTED already fails for want of a proof
            assert (code, name) in {
                ("HX010", "TRANSITION"),
                ("HX010", "DISPUTE-TRANSITION"),
                ("HX301", "INV-3"),
            }, (start, goal)


@pytest.mark.parametrize("role", ROLES)
async def test_mode_never_changes(market: Market, role: str) -> None:
    """HX010 MODE-IMMUTABLE, both ways."""
    db = as_role(market, role)
    modes: tuple[tuple[Mode, Mode], ...] = (("STANDARD", "LIVE"), ("LIVE", "STANDARD"))
    for mode, other in modes:
        task = await market.task(mode)
        got = await refused(db, "update tasks set mode = $2 where id = $1", task, other)
        assert got == ("HX010", "MODE-IMMUTABLE")


@pytest.mark.parametrize("role", ROLES)
async def test_a_live_task_costs_at_least_15_dollars(market: Market, role: str) -> None:
    """HX902 LIVE-2 at $14.99 on insert and update; $15.00 is fine; STANDARD from $5.00."""
    db = as_role(market, role)
    with pytest.raises(Exception, match=r"15\.00"):
        await market.task(price_cents=1_499)
    task = await market.task(price_cents=1_500)
    got = await refused(db, "update tasks set price = 1499 where id = $1", task)
    assert got == ("HX902", "LIVE-2")
    cheap = await market.task("STANDARD", price_cents=500)
    code, name = await refused(db, "update tasks set price = 499 where id = $1", cheap)
    assert (code, name) == ("23514", "tasks_price_floor")


@pytest.mark.parametrize("role", ROLES)
async def test_live_tasks_are_never_open_and_start_unassigned(market: Market, role: str) -> None:
    """A forged insert is refused: no task is born in the middle of its life."""
    db = as_role(market, role)
    poster = await market.user("poster")
    insert = (
        "insert into tasks (mode, state, title, description, category, price, location_lat,"
        " location_lng, place_lat, place_lng, partition, poster_id)"
        " values ($2, $3, 't', 'd', 'c', 2000, 1, 1, 1, 1, 0, $1)"
    )
    assert (await refused(db, insert, poster, "LIVE", "OPEN"))[0] == "HX010"
    assert (await refused(db, insert, poster, "STANDARD", "ACCEPTED"))[0] == "HX010"
    await db.execute(insert, poster, "LIVE", "MATCHING")


@pytest.mark.parametrize("role", ROLES)
async def test_completed_needs_an_accepted_proof(market: Market, role: str) -> None:
    """HX301 INV-3; a task that asks for no proof completes without one."""
    db = as_role(market, role)
    task, _ = await market.submitted()
    got = await refused(db, "update tasks set state = 'COMPLETED' where id = $1", task)
    assert got == ("HX301", "INV-3")

    await db.execute("update proofs set state = 'ACCEPTED' where task_id = $1", task)
    await db.execute("update tasks set state = 'COMPLETED' where id = $1", task)


@pytest.mark.parametrize("role", ROLES)
async def test_proof_submitted_needs_a_proof(market: Market, role: str) -> None:
    """HX301 for a submission without a record."""
    task, _ = await market.accepted()
    got = await refused(
        as_role(market, role), "update tasks set state = 'PROOF_SUBMITTED' where id = $1", task
    )
    assert got == ("HX301", "INV-3")


@pytest.mark.parametrize("role", ROLES)
async def test_an_escrow_amount_never_changes(market: Market, role: str) -> None:
    """HX004 INV-4 in every state, the ended ones included."""
    db = as_role(market, role)
    pending, funded = await market.task(), await market.funded()
    await market.store.perform("begin_funding", await market.poster_of(pending), pending)
    done, _ = await market.submitted()
    await market.commands.proofs.approve(await market.poster_of(done), done)
    await market.worker.settle_waiting()

    for task, state in ((pending, "PENDING"), (funded, "FUNDED"), (done, "RELEASED")):
        assert await market.escrow_state(task) == state
        got = await refused(db, "update escrows set amount = 9999 where task_id = $1", task)
        assert got == ("HX004", "INV-4"), state


@pytest.mark.parametrize("role", ROLES)
async def test_money_is_released_only_for_a_completed_task(market: Market, role: str) -> None:
    """HX201 INV-2."""
    db = as_role(market, role)
    statement = (
        "update escrows set state = 'RELEASED', release_amount = amount, fee_amount = 600,"
        " stripe_transfer_id = 'tr_' || id where task_id = $1"
    )
    task, _ = await market.submitted()
    assert await refused(db, statement, task) == ("HX201", "INV-2")

    bare = "update escrows set state = 'RELEASED' where task_id = $1"
    assert await refused(db, bare, task) == ("HX201", "INV-2")
    await db.execute("update proofs set state = 'ACCEPTED' where task_id = $1", task)
    await db.execute("update tasks set state = 'COMPLETED' where id = $1", task)
    # the money has not moved: no settlement has been carried out
    assert await refused(db, statement, task) == ("HX010", "ESCROW-TRANSITION")


@pytest.mark.parametrize("role", ROLES)
async def test_an_ended_escrow_is_frozen(market: Market, role: str) -> None:
    """HX002 ESCROW-TERMINAL."""
    db = as_role(market, role)
    task = await market.funded()
    await market.commands.tasks.cancel(await market.poster_of(task), task, None)
    await market.worker.settle_waiting()

    got = await refused(db, "update escrows set state = 'FUNDED' where task_id = $1", task)
    assert got == ("HX002", "ESCROW-TERMINAL")
    got = await refused(db, "update escrows set refund_amount = 1 where task_id = $1", task)
    assert got == ("HX002", "ESCROW-TERMINAL")
    await db.execute("update escrows set updated_at = hx_clock() where task_id = $1", task)


@pytest.mark.parametrize("role", ROLES)
async def test_an_escrow_moves_only_along_its_machine(market: Market, role: str) -> None:
    """HX010 ESCROW-TRANSITION: no refund of a running task, no way back, no birth as FUNDED."""
    db = as_role(market, role)
    task, other = await market.funded(), await market.task()
    expected = ("HX010", "ESCROW-TRANSITION")
    refund = "update escrows set state = 'REFUNDED', refund_amount = amount where task_id = $1"
    assert await refused(db, refund, task) == expected
    assert (
        await refused(db, "update escrows set state = 'PENDING' where task_id = $1", task)
        == expected
    )
    assert (
        await refused(
            db, "insert into escrows (task_id, amount, state) values ($1, 4000, 'FUNDED')", other
        )
        == expected
    )
    assert (
        await refused(db, "update escrows set task_id = $2 where task_id = $1", task, other)
        == expected
    )


@pytest.mark.parametrize("role", ROLES)
async def test_a_task_has_one_current_escrow(market: Market, role: str) -> None:
    """23505 for a second one."""
    task = await market.funded()
    got = await refused(
        as_role(market, role), "insert into escrows (task_id, amount) values ($1, 4000)", task
    )
    assert got == ("23505", "one_current_escrow_per_task")


@pytest.mark.parametrize("role", ROLES)
async def test_a_partial_refund_adds_up(market: Market, role: str) -> None:
    """escrow_partial_sum_check stands behind the machine."""
    constraint = await as_role(market, role).fetchval(
        "select pg_get_constraintdef(oid) from pg_constraint"
        " where conname = 'escrow_partial_sum_check'"
    )
    assert "refund_amount + release_amount" in constraint


@pytest.mark.parametrize("role", ROLES)
async def test_no_broadcast_without_a_funded_escrow(market: Market, role: str) -> None:
    """HX901 LIVE-1: unfunded, and after the escrow left FUNDED; funded is fine."""
    db = as_role(market, role)
    insert = (
        "insert into live_broadcasts (task_id, expires_at, initial_radius_miles, max_radius_miles,"
        " expansion_step_miles, expansion_interval_s)"
        " values ($1, hx_clock() + interval '10 minutes', 3, 10, 2, 60)"
    )
    task = await market.task()
    assert await refused(db, insert, task) == ("HX901", "LIVE-1")

    funded = await market.funded()
    await db.execute(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where task_id = $1",
        funded,
    )
    await db.execute(insert, funded)
    got = await refused(db, insert, funded)
    assert got == ("23505", "one_active_broadcast_per_task")


async def test_an_escrow_that_leaves_funded_ends_its_broadcast(own_market: Market) -> None:
    """LIVE-1 stays true after the start, in the same transaction.

    The escrow's machine allows no such step under a running task; the guard stands behind it.
    """
    market = own_market
    task = await market.funded()
    await market.owner.execute("alter table escrows disable trigger escrow_transition_guard")
    await market.app.execute(
        "update escrows set state = 'REFUNDED', refund_amount = amount, stripe_refund_id = 're_1'"
        " where task_id = $1",
        task,
    )

    assert await market.state(task) == "MATCHING"
    state = await market.app.fetchval("select state from live_broadcasts where task_id = $1", task)
    assert state == "CANCELLED"


@pytest.mark.parametrize("role", ROLES)
async def test_an_accept_from_psql_meets_the_same_guards(market: Market, role: str) -> None:
    """HX013, HX016, HX903, HX012 and HX015 hold for a plain UPDATE too."""
    db = as_role(market, role)
    statement = "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1"
    live = await market.live_hustler()
    assert await refused(db, statement, await market.task(), live) == ("HX016", "FUNDED")

    task = await market.funded()
    poster = await market.poster_of(task)
    assert await refused(db, statement, task, poster) == ("HX013", "OWN-TASK")
    assert await refused(db, statement, task, await market.user("hustler")) == ("HX903", "LIVE-3")
    assert await refused(db, statement, task, live) == ("HX012", "ELIGIBILITY")

    await market.offer(task, live)
    await db.execute(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where task_id = $1",
        task,
    )
    assert await refused(db, statement, task, live) == ("HX015", "LIVE-5")


@pytest.mark.parametrize("role", ROLES)
async def test_a_hustler_holds_one_active_live_task(market: Market, role: str) -> None:
    """HX014, whoever writes; the partial unique index stands behind it."""
    _task, hustler = await market.accepted()
    other = await market.funded()
    await market.offer(other, hustler)
    got = await refused(
        as_role(market, role),
        "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1",
        other,
        hustler,
    )
    assert got == ("HX014", "BUSY")


@pytest.mark.parametrize("role", ROLES)
async def test_only_an_accept_writes_the_assignment(market: Market, role: str) -> None:
    """LIVE-7: nobody assigns."""
    db = as_role(market, role)
    task = await market.task("STANDARD")
    statement = "update tasks set assigned_hustler_id = $2 where id = $1"
    got = await refused(db, statement, task, await market.user("hustler"))
    assert got == ("HX010", "TRANSITION")
    held, _ = await market.accepted("STANDARD")
    got = await refused(db, statement, held, await market.user("hustler"))
    assert got == ("HX010", "TRANSITION")


async def test_live_mode_is_not_toggled_twice_in_five_minutes(own_market: Market) -> None:
    """HX904 at 4:59, allowed at 5:00, by command and by psql; off is always allowed."""
    market = own_market
    hustler = await market.live_hustler()
    await market.commands.live.end(hustler, "MANUAL")
    await market.advance("4 minutes 59 seconds")
    session = await market.app.fetchval(
        "insert into live_sessions (user_id) values ($1) returning id", hustler
    )
    statement = (
        "update live_status set session_id = $2, active_since = hx_clock() where user_id = $1"
    )
    got = await refused(market.app, statement, hustler, session)
    assert got == ("HX904", "LIVE-TOGGLE")

    await market.advance("1 second")
    await market.app.execute(statement, hustler, session)


async def test_a_return_after_offline_is_no_toggle(market: Market) -> None:
    """HX904 counts manual OFF→ON only."""
    hustler = await market.live_hustler()
    await market.commands.live.end(hustler, "OFFLINE")
    await market.commands.live.go_live(hustler, None, None)
    assert (await market.queries.live.state(hustler)).state == "ACTIVE"


async def test_a_banned_hustler_cannot_go_live(own_market: Market) -> None:
    """HX905 until the ban ends."""
    market = own_market
    hustler = await market.user("hustler")
    await market.owner.execute(
        "update live_status set banned_until = hx_clock() + interval '1 day' where user_id = $1",
        hustler,
    )
    with pytest.raises(Exception, match="banned"):
        await market.commands.live.go_live(hustler, None, None)
    await market.advance("1 day")
    await market.commands.live.go_live(hustler, None, None)


async def test_four_hours_of_a_session_bring_half_an_hour_of_rest(own_market: Market) -> None:
    """ACTIVE at 3:59:59, COOLDOWN from 4:00, ACTIVE again at 4:30; a function of the clock."""
    market = own_market
    hustler = await market.live_hustler()
    since = await market.app.fetchval(
        "select active_since from live_status where user_id = $1", hustler
    )
    states = [
        await market.app.fetchval(
            "select live_state(s, $2::timestamptz + $3::text::interval) from live_status as s where user_id = $1",
            hustler,
            since,
            after,
        )
        for after in ("3:59:59", "4:00:00", "4:29:59", "4:30:00", "8:29:59", "8:30:00")
    ]
    assert states == ["ACTIVE", "COOLDOWN", "COOLDOWN", "ACTIVE", "ACTIVE", "COOLDOWN"]


async def test_the_app_role_cannot_touch_ledgers_clock_or_derived_columns(market: Market) -> None:
    """42501: no delete or update of history, no other clock, no tier or XP by hand."""
    task = await market.task()
    for statement in (
        "delete from tasks",
        "delete from escrows",
        "update user_events set data = '{}'",
        (
            "insert into user_events (user_id, seq, at, type, data)"
            " values (gen_random_uuid(), 1, now(), 'X', '{}')"
        ),
        "delete from user_events",
        "update user_counters set last_seq = 0",
        (
            "insert into task_transitions (task_id, to_state, at)"
            f" values ('{task}', 'COMPLETED', now())"
        ),
        "truncate task_transitions",
        "truncate money_entries",
        "insert into clock_offset (amount) values ('1 day')",
        "update users set trust_tier = 4",
        "update users set total_xp = 1",
        "update error_catalogue set title = ''",
        "alter table tasks disable trigger all",
        "set session_replication_role = replica",
    ):
        code, _ = await refused(market.app, statement)
        assert code == "42501", statement


@pytest.mark.parametrize("role", ROLES)
async def test_the_terms_of_a_funded_task_are_fixed(market: Market, role: str) -> None:
    """HX019: what was offered and what is held; before funding, and title and text, are free."""
    db = as_role(market, role)
    task, unfunded = await market.funded(), await market.task()
    held, _ = await market.accepted("STANDARD")
    for change in ("price = 9000", "location_lat = 1", "category = 'other'", "deadline = now()",
                   "required_trust_tier = 4", "insurance_required = true", "min_photos = 2",
                   "location_address = 'x'", "estimated_minutes = 9"):  # fmt: skip
        for fixed in (task, held):
            got = await refused(db, f"update tasks set {change} where id = $1", fixed)
            assert got == ("HX019", "EDIT"), change
        await db.execute(f"update tasks set {change} where id = $1", unfunded)
    text = "update tasks set title = 'Hang two doors', description = 'Both.' where id = $1"
    await db.execute(text, held)
    # a card shows it
    assert await refused(db, text, task) == ("HX019", "EDIT")


@pytest.mark.parametrize("role", ROLES)
async def test_a_broadcast_stays_what_it_was_started_as(market: Market, role: str) -> None:
    """HX010: no other task, no longer life, no wider plan, no second life."""
    db = as_role(market, role)
    task, unfunded = await market.funded(), await market.task()
    for change in (f"task_id = '{unfunded}'", "expires_at = expires_at + interval '1 hour'",
                   "max_radius_miles = 25", "started_at = started_at - interval '1 hour'"):  # fmt: skip
        got = await refused(db, f"update live_broadcasts set {change} where task_id = $1", task)
        assert got == ("HX010", "TRANSITION"), change
    await db.execute(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where task_id = $1",
        task,
    )
    got = await refused(
        db,
        "update live_broadcasts set state = 'ACTIVE', ended_at = null where task_id = $1",
        task,
    )
    assert got == ("HX010", "TRANSITION")


@pytest.mark.parametrize("role", ROLES)
async def test_a_proof_is_handed_in_by_the_holder_and_stays_theirs(
    market: Market, role: str
) -> None:
    """HX301: no foreign hustler, none accepted at birth, none moved to another task."""
    db = as_role(market, role)
    task, hustler = await market.accepted()
    other, _ = await market.submitted()
    insert = "insert into proofs (task_id, hustler_id, kind, state) values ($1, $2, 'CODE', $3)"
    stranger = await market.user("hustler")
    assert await refused(db, insert, task, stranger, "SUBMITTED") == ("HX301", "INV-3")
    assert await refused(db, insert, task, hustler, "ACCEPTED") == ("HX301", "INV-3")
    got = await refused(db, "update proofs set task_id = $2 where task_id = $1", other, task)
    assert got == ("HX301", "INV-3")
    got = await refused(
        db, "update tasks set requires_proof = false, state = 'COMPLETED' where id = $1", other
    )
    assert got == ("HX301", "INV-3")
    await db.execute(insert, task, hustler, "SUBMITTED")


@pytest.mark.parametrize("role", ROLES)
async def test_a_settlement_moves_its_escrow_s_money_and_no_other(
    market: Market, role: str
) -> None:
    """HX201 before completion; HX010 for another amount, another fee, or another end."""
    db = as_role(market, role)
    insert = (
        "insert into settlements (escrow_id, kind, release_amount, refund_amount, fee_amount)"
        " select id, $2, case $2 when 'RELEASE' then amount + $3 else 0 end,"
        " case $2 when 'REFUND' then amount + $3 else 0 end, $4"
        " from escrows where task_id = $1"
    )
    running = await market.funded()
    wrong = ("HX010", "ESCROW-TRANSITION")
    assert await refused(db, insert, running, "RELEASE", 0, 600) == ("HX201", "INV-2")
    assert await refused(db, insert, running, "REFUND", 0, 0) == wrong
    done, _ = await market.submitted()
    await db.execute("update proofs set state = 'ACCEPTED' where task_id = $1", done)
    await db.execute("update tasks set state = 'COMPLETED' where id = $1", done)
    assert await refused(db, insert, done, "RELEASE", 36_000, 6_000) == wrong
    assert await refused(db, insert, done, "REFUND", 0, 0) == wrong
    assert await refused(db, insert, done, "RELEASE", 0, 0) == ("23514", "settlements_fee")
    await db.execute(insert, done, "RELEASE", 0, 600)
    got = await refused(
        db,
        "update settlements set release_amount = 1 from escrows as e"
        " where e.id = escrow_id and e.task_id = $1",
        done,
    )
    assert got == wrong
    got = await refused(db, "update escrows set is_current = false where task_id = $1", running)
    assert got == wrong


async def test_no_definer_function_is_open_to_the_reading_roles(market: Market) -> None:
    """hx_ai and hx_readonly act through nobody: they call no function of ours at all."""
    rows = await market.owner.fetch(
        "select r.role, p.proname from (values ('hx_ai'), ('hx_readonly')) as r (role),"
        " pg_proc as p where p.pronamespace = 'public'::regnamespace"
        " and has_function_privilege(r.role, p.oid, 'execute')"
    )
    assert rows == []


async def test_ai_and_readonly_roles_only_read(market: Market) -> None:
    """hx_ai and hx_readonly see rows and write none."""
    for role in ("hx_ai", "hx_readonly"):
        grants = await market.owner.fetch(
            "select table_name, privilege_type from information_schema.role_table_grants"
            " where grantee = $1 and privilege_type <> 'SELECT'",
            role,
        )
        assert grants == []
