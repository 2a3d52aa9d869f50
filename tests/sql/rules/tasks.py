"""Tasks: their steps, their terms, and who holds them."""

from __future__ import annotations

from tests.sql.rules import arrivals
from tests.sql.rules.judge import Judge, rule
from tests.sql.rules.shapes import checks, references, uniques

TRANSITION = ("HX010", "TRANSITION")
EDIT = ("HX019", "EDIT")
ENDED = ("HX001", "TASK-TERMINAL")
NO_PROOF = ("HX301", "INV-3")

checks(
    "tasks",
    ("tasks_mode", "mode = 'NOW' where state = 'COMPLETED'", "mode = 'STANDARD' where false"),
    ("tasks_state", "state = 'LOST'", "state = 'EXPIRED'"),
    (
        "tasks_state_of_mode",
        "state = 'OPEN' where mode = 'LIVE'",
        "state = 'OPEN' where mode = 'STANDARD'",
    ),
    ("tasks_price_floor", "price = 499 where mode = 'STANDARD'", "price = 1500"),
    (
        "tasks_live_price_floor",
        "price = 1499 where mode = 'LIVE'",
        "price = 500 where mode = 'STANDARD'",
    ),
    (
        "tasks_not_own",
        "assigned_hustler_id = poster_id",
        "assigned_hustler_id = {hustler} where id = {held}",
    ),
    ("tasks_tier", "required_trust_tier = 5", "required_trust_tier = 4"),
    ("tasks_deadline", "deadline = 'infinity'", "deadline = '2199-12-31'"),
    ("tasks_title", r"title = E' \n '", "title = repeat('x', 200)"),
    ("tasks_description", r"description = E'\u200b\u2060'", r"description = E'a\r\n\tb'"),
    ("tasks_category", "category = ' '", r"category = E'\u05d2\u05df'"),
    ("tasks_trade", r"required_trade = E'a\u202eb'", "required_trade = null"),
    ("tasks_address", r"location_address = E'a\u0007b'", "location_address = ''"),
    ("tasks_photos", "min_photos = 6", "min_photos = 5"),
    ("tasks_partition", "partition = 64", "partition = 63"),
    ("tasks_location", "location_lat = 90.1", "location_lat = -90, location_lng = 180"),
    (
        "tasks_held",
        "assigned_hustler_id = null where state = 'ACCEPTED'",
        "assigned_hustler_id = null where state = 'CANCELLED'",
    ),
    ("tasks_started", "started_at = null where state = 'WORKING'", "started_at = hx_clock()"),
    ("tasks_rejections", "rejections = 4", "rejections = 3"),
)
references(
    "tasks",
    ("tasks_poster", "poster_id"),
    ("tasks_hustler", "assigned_hustler_id"),
)
uniques(
    "tasks",
    (
        "tasks_one_successor",
        "predecessor_id = {released} where id in ({heir}, {bare})",
        "predecessor_id = null",
    ),
    (
        "one_active_live_task_per_hustler",
        (
            "assigned_hustler_id = {hustler}, mode = 'LIVE', state = 'ACCEPTED', rejections = 0"
            " where id in ({rushed}, {working})"
        ),
        (
            "assigned_hustler_id = {hustler}, mode = 'LIVE', state = 'ACCEPTED', rejections = 1"
            " where id in ({rushed}, {working})"
        ),
    ),
)
checks("task_codes", ("task_codes_kind", "kind = 'SECRET'", "kind = kind"))
references("task_codes", ("task_codes_task", "task_id"))
references("task_transitions", ("task_transitions_task", "task_id"))


@rule("tasks.tasks_predecessor")
async def a_successor_names_a_task_that_exists(judge: Judge) -> None:
    """23503 for one that is nowhere."""
    async with judge.behind("tasks") as alone:
        change = "update tasks set predecessor_id = %s where id = {bare}"
        await alone.refuses(("23503", "tasks_predecessor"), change % "gen_random_uuid()")
        await alone.allows(change % "{cancelled}")


@rule("tasks.task_terminal_guard")
async def an_ended_task_is_frozen_but_for_updated_at(judge: Judge) -> None:
    """HX001 for COMPLETED, CANCELLED and EXPIRED alike."""
    await judge.refuses(ENDED, "UPDATE tasks SET title = 'Hacked' WHERE state = 'COMPLETED'")
    for task in ("paid", "cancelled", "expired"):
        for change in (
            "state = 'WORKING'", "state = 'DISPUTED'", "price = 9000", "cancel_reason = 'x'",
            "version = 9", "poster_id = {hustler}",
        ):  # fmt: skip
            await judge.refuses(ENDED, f"update tasks set {change} where id = {{{task}}}")
        await judge.allows(f"update tasks set updated_at = hx_clock() where id = {{{task}}}")


NEW = (
    "insert into tasks (mode, state, title, description, category, price, location_lat,"
    " location_lng, place_lat, place_lng, partition, poster_id%s)"
    " values ('%s', '%s', 't', 'd', 'c', 4000, 1, 1, 1, 1, 0, {poster}%s)"
)


@rule("tasks.task_transition_guard")
async def a_task_is_born_at_the_start_of_its_life(judge: Judge) -> None:
    """HX010: in the state of its mode, without anything of a later state."""
    await judge.refuses(TRANSITION, NEW % ("", "STANDARD", "ACCEPTED", ""))
    await judge.refuses(TRANSITION, NEW % ("", "LIVE", "OPEN", ""))
    for column, value in (
        ("assigned_hustler_id", "{hustler}"),
        ("rejections", "1"),
        ("accepted_at", "hx_clock()"),
        ("en_route_at", "hx_clock()"),
        ("eta_at", "hx_clock()"),
        ("arrived_at", "hx_clock()"),
        ("started_at", "hx_clock()"),
        ("completed_at", "hx_clock()"),
        ("cancel_reason", "'POSTER_CANCELLED'"),
    ):
        await judge.refuses(TRANSITION, NEW % (f", {column}", "LIVE", "MATCHING", f", {value}"))
    await judge.allows(NEW % ("", "LIVE", "MATCHING", ""))
    await judge.allows(NEW % ("", "STANDARD", "OPEN", ""))


@rule("tasks.task_transition_guard")
async def a_task_moves_only_along_the_lifecycle(judge: Judge) -> None:
    """HX010; every pair of states is tried in test_machines."""
    await judge.refuses(TRANSITION, "update tasks set state = 'WORKING' where id = {open}")
    await judge.refuses(TRANSITION, "update tasks set state = 'ACCEPTED' where id = {working}")
    await judge.allows("update tasks set state = 'CANCELLED' where id = {live}")


@rule("tasks.task_transition_guard")
async def nothing_expires_before_its_deadline(judge: Judge) -> None:
    """HX010 with a deadline ahead and with none."""
    task = await judge.market.task("STANDARD")
    expire = "update tasks set state = 'EXPIRED' where id = $1"
    deadline = "update tasks set deadline = hx_clock() + $2::text::interval where id = $1"
    await judge.refuses(TRANSITION, expire, task)
    await judge.does(deadline, task, "1 hour")
    await judge.refuses(TRANSITION, expire, task)
    await judge.does(deadline, task, "-1 second")
    await judge.allows(expire, task)


@rule("tasks.task_marks_guard", "tasks.task_transition_guard")
async def an_arrival_is_recorded_once_and_binds_the_poster(judge: Judge) -> None:
    """HX010: neither cancelled afterwards nor forgotten so that it can be."""
    task, hustler = await judge.market.accepted()
    arrive = "update tasks set arrived_at = hx_clock() where id = $1"
    await judge.refuses(TRANSITION, arrive.replace("$1", "{live}"))
    await judge.allows("update tasks set state = 'CANCELLED' where id = $1", task)
    await judge.market.arrive(hustler, task)
    await judge.refuses(TRANSITION, arrive, task)
    await judge.refuses(TRANSITION, "update tasks set arrived_at = null where id = $1", task)
    cancel = "update tasks set state = 'CANCELLED', cancel_reason = $2 where id = $1"
    await judge.refuses(TRANSITION, cancel, task, "POSTER_CANCELLED")
    await judge.refuses(TRANSITION, cancel, task, None)
    await judge.allows(cancel, task, "HUSTLER_RELEASED")
    await judge.market.commands.tasks.release(hustler, task, None)


@rule("tasks.task_marks_guard")
async def each_mark_is_made_by_its_own_step_and_stays(judge: Judge) -> None:
    """HX010: when it was accepted, expected, started and completed, and why it ended."""
    for task, change in (
        ("held", "accepted_at = hx_clock()"),
        ("held", "en_route_at = hx_clock()"),
        ("rushed", "eta_at = eta_at - interval '1 day'"),
        ("held", "started_at = hx_clock()"),
        ("submitted", "started_at = null"),
        ("working", "started_at = started_at - interval '1 day'"),
        ("submitted", "completed_at = hx_clock()"),
        ("live", "cancel_reason = 'NO_SHOW'"),
        ("live", "version = 0"),
        ("live", "created_at = created_at - interval '1 day'"),
        ("bare", "id = gen_random_uuid()"),
    ):
        await judge.refuses(TRANSITION, f"update tasks set {change} where id = {{{task}}}")
    met, hustler = await judge.market.accepted()
    at = await judge.value(f"{arrivals.COMES} returning at", met, hustler, "START_CODE")
    await judge.allows("update tasks set state = 'WORKING', started_at = $2 where id = $1", met, at)


@rule("tasks.task_transition_guard")
async def nobody_assigns(judge: Judge) -> None:
    """LIVE-7: only an accept writes the hustler, and nothing takes the task from them."""
    assign = "update tasks set assigned_hustler_id = {hustler} where id = "
    for task in ("open", "live", "held", "working", "submitted"):
        await judge.refuses(TRANSITION, assign + f"{{{task}}}")
    await judge.does("insert into acceptances (task_id, hustler_id) values ({open}, {hustler})")
    await judge.allows(
        "update tasks set state = 'ACCEPTED', assigned_hustler_id = {hustler} where id = {open}"
    )


@rule("tasks.task_marks_guard")
async def a_no_show_is_no_reason_before_its_time(judge: Judge) -> None:
    """HX010 NO-SHOW until 15 minutes after the hustler was expected."""
    say = "update tasks set state = 'CANCELLED', cancel_reason = 'NO_SHOW' where id = {rushed}"
    await judge.refuses(("HX010", "NO-SHOW"), say)
    await judge.allows(say.replace("NO_SHOW", "POSTER_CANCELLED"))


@rule("tasks.task_transition_guard", "tasks.task_marks_guard")
async def a_task_follows_another_from_birth_or_never(judge: Judge) -> None:
    """HX010: a successor is its poster's own, of an ended task, for the same price."""
    heir = NEW % (", predecessor_id", "LIVE", "MATCHING", ", {%s}")
    await judge.refuses(
        TRANSITION, "update tasks set predecessor_id = {cancelled} where id = {bare}"
    )
    await judge.refuses(TRANSITION, "update tasks set predecessor_id = null where id = {heir}")
    await judge.refuses(TRANSITION, heir % "cancelled")
    own = heir.replace("{poster}", "{%s_poster}")
    await judge.refuses(TRANSITION, own % ("live", "live"))
    await judge.refuses(TRANSITION, own.replace("4000", "4001") % ("cancelled", "cancelled"))
    await judge.allows(own % ("cancelled", "cancelled"))


@rule("tasks.task_marks_guard")
async def rejections_count_the_proofs_that_were_turned_down(judge: Judge) -> None:
    """HX010: a forged one would free its hustler for a second LIVE task, or open a dispute."""
    for task, count in (
        ("rushed", 1),
        ("held", 3),
        ("working", 1),
        ("rejected", 0),
        ("live", 1),
        ("submitted", 1),
    ):
        await judge.refuses(
            TRANSITION, f"update tasks set rejections = {count} where id = {{{task}}}"
        )
    await judge.allows("update tasks set rejections = 1 where id = {rejected}")


@rule("tasks.task_mode_immutable")
async def the_mode_never_changes(judge: Judge) -> None:
    """HX010 MODE-IMMUTABLE, both ways, funded or not."""
    verdict = ("HX010", "MODE-IMMUTABLE")
    await judge.refuses(verdict, "update tasks set mode = 'STANDARD' where id = {unfunded}")
    await judge.refuses(verdict, "update tasks set mode = 'LIVE' where id = {bare}")
    await judge.refuses(ENDED, "update tasks set mode = 'STANDARD' where id = {cancelled}")
    await judge.allows("update tasks set mode = 'LIVE' where id = {live}")


@rule("tasks.live_price_floor")
async def a_live_task_costs_at_least_15_dollars(judge: Judge) -> None:
    """HX902 on insert and on update; STANDARD from $5.00."""
    new = NEW % ("", "LIVE", "MATCHING", "")
    await judge.refuses(("HX902", "LIVE-2"), new.replace("4000", "1499"))
    await judge.allows(new.replace("4000", "1500"))
    price = "update tasks set price = %d where id = {%s}"
    await judge.refuses(("HX902", "LIVE-2"), price % (1_499, "unfunded"))
    await judge.allows(price % (1_500, "unfunded"))
    await judge.allows(price % (500, "bare"))


@rule("tasks.task_completed_requires_accepted_proof")
async def a_task_completes_only_with_an_accepted_proof(judge: Judge) -> None:
    """HX301 (INV-3), also where the demand for a proof is dropped in the same breath."""
    complete = "UPDATE tasks SET state = 'COMPLETED' WHERE id = {submitted}"
    await judge.refuses(NO_PROOF, complete)
    await judge.refuses(NO_PROOF, complete.replace("SET", "SET requires_proof = false,"))
    await judge.refuses(
        NO_PROOF,
        "UPDATE tasks SET state = 'COMPLETED' WHERE state = 'PROOF_SUBMITTED' AND NOT EXISTS"
        " (SELECT 1 FROM proofs WHERE task_id = tasks.id AND state = 'ACCEPTED')",
    )
    proven, _ = await judge.market.submitted()
    await judge.does("update proofs set state = 'ACCEPTED' where task_id = $1", proven)
    await judge.allows("update tasks set state = 'COMPLETED' where id = $1", proven)
    free, hustler = await judge.market.working(requires_proof=False)
    await judge.market.commands.proofs.submit(hustler, free, None)
    await judge.allows("update tasks set state = 'COMPLETED' where id = $1", free)


@rule("tasks.task_submission_requires_proof")
async def a_task_waits_for_review_only_with_a_submitted_proof(judge: Judge) -> None:
    """HX301: from ACCEPTED and from WORKING, also after one that was turned down."""
    submit = "update tasks set state = 'PROOF_SUBMITTED' where id = {%s}"
    for task in ("held", "working", "rejected"):
        await judge.refuses(NO_PROOF, submit % task)
    await judge.does(
        "insert into proofs (task_id, hustler_id, kind, state)"
        " values ({rejected}, {rejected_hustler}, 'CODE', 'SUBMITTED')"
    )
    await judge.allows(submit % "rejected")
    await judge.does(
        "update proofs set state = 'EXPIRED' where task_id = {rejected} and state = 'SUBMITTED'"
    )


@rule("tasks.task_reject_guard")
async def a_task_goes_back_only_with_its_proof_turned_down(judge: Judge) -> None:
    """HX010: to where it came from, one more rejection counted, twice at most."""
    task, _ = await judge.market.submitted()
    back = "update tasks set state = $2, rejections = $3 where id = $1"
    await judge.refuses(TRANSITION, back, task, "WORKING", 0)
    await judge.refuses(TRANSITION, back, task, "WORKING", 1)
    expire = await judge.market.submitted()
    await judge.does("update proofs set state = 'EXPIRED' where task_id = $1", expire[0])
    await judge.refuses(TRANSITION, back, expire[0], "WORKING", 0)

    reject = (
        "update proofs set state = 'REJECTED', reject_reason = 'no'"
        " where task_id = $1 and state = 'SUBMITTED'"
    )
    again = (
        "insert into proofs (task_id, hustler_id, kind, state) select id, assigned_hustler_id,"
        " 'CODE', 'SUBMITTED' from tasks where id = $1"
    )
    submit = "update tasks set state = 'PROOF_SUBMITTED' where id = $1"
    await judge.does(reject, task)
    await judge.refuses(TRANSITION, back, task, "ACCEPTED", 1)
    await judge.refuses(TRANSITION, back, task, "WORKING", 0)
    await judge.refuses(TRANSITION, back, task, "WORKING", 2)
    await judge.does(back, task, "WORKING", 1)
    for statement in (again, submit, reject):
        await judge.does(statement, task)
    await judge.does(back, task, "WORKING", 2)
    for statement in (again, submit, reject):
        await judge.does(statement, task)
    await judge.refuses(TRANSITION, back, task, "WORKING", 3)


@rule("tasks.task_accept_guard")
async def an_accept_by_hand_meets_every_judge(judge: Judge) -> None:
    """HX010, HX013, HX016, HX903, HX012 and HX015 hold for a plain UPDATE too."""
    market = judge.market
    accept = "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1"
    live = await market.live_hustler()
    task = await market.funded()
    await judge.refuses(TRANSITION, "update tasks set state = 'ACCEPTED' where id = {open}")
    await judge.refuses(("HX016", "FUNDED"), accept, await market.task(), live)
    await judge.refuses(("HX013", "OWN-TASK"), accept, task, await market.poster_of(task))
    await judge.refuses(("HX903", "LIVE-3"), accept, task, await market.user("hustler"))
    await judge.refuses(("HX012", "ELIGIBILITY"), accept, task, live)
    declined = await market.offered(task)
    await judge.does(
        "update offers set response = 'DECLINE', responded_at = hx_clock() where hustler_id = $1",
        declined,
    )
    await judge.refuses(("HX012", "ELIGIBILITY"), accept, task, declined)
    await market.offer(task, live)
    await judge.does(
        "update offers set response = 'ACCEPT', responded_at = hx_clock() where hustler_id = $1",
        live,
    )
    await judge.allows(accept, task, live)
    await judge.does(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where task_id = $1",
        task,
    )
    await judge.refuses(("HX015", "LIVE-5"), accept, task, live)


@rule("tasks.task_accept_guard")
async def only_the_eligible_accept(judge: Judge) -> None:
    """HX012: nobody of a lower tier, nobody paused, nobody who gave this very work back."""
    market = judge.market
    accept = "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1"
    task = await market.task("STANDARD")
    await judge.does("update tasks set required_trust_tier = 3 where id = $1", task)
    await market.commands.money.fund(await market.poster_of(task), task)
    for stranger in (
        await market.user("hustler", trust_tier=2),
        await market.user("poster", trust_tier=3),
    ):
        await judge.refuses(("HX012", "ELIGIBILITY"), accept, task, stranger)
    able = await market.user("hustler", trust_tier=3)
    await judge.does("insert into acceptances (task_id, hustler_id) values ($1, $2)", task, able)
    await judge.allows(accept, task, able)
    await market.commands.live.accept(able, task)
    await market.commands.tasks.release(able, task, None)
    heir = await judge.value("select id from tasks where predecessor_id = $1", task)
    await judge.refuses(("HX012", "ELIGIBILITY"), accept, heir, able)


@rule("tasks.task_dispute_guard")
async def a_task_is_disputed_with_its_money_locked_and_leaves_as_decided(judge: Judge) -> None:
    """HX010: into DISPUTED and out of it only as the dispute stands."""
    verdict = ("HX010", "DISPUTE-TRANSITION")
    task, hustler = await judge.market.working()
    stop = "update tasks set state = 'DISPUTED' where id = $1"
    await judge.refuses(verdict, stop, task)
    await judge.does(
        "insert into disputes (task_id, escrow_id, opened_by, side, reason, evidence_due_at)"
        " select $1, id, $2, 'HUSTLER', 'why', hx_clock() from escrows where task_id = $1",
        task,
        hustler,
    )
    await judge.refuses(verdict, stop, task)
    await judge.does("update escrows set state = 'LOCKED_DISPUTE' where task_id = $1", task)
    await judge.does(stop, task)
    cancel = "update tasks set state = 'CANCELLED' where id = $1"
    await judge.refuses(verdict, cancel, task)
    await judge.does(
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason,"
        " metadata) select {admin}, 'RESOLVE_DISPUTE', 'dispute', id, 'r',"
        " jsonb_build_object('outcome', 'HUSTLER', 'release_cents', 4000)"
        " from disputes where task_id = $1",
        task,
    )
    await judge.does(
        "update disputes set state = 'RESOLVED', outcome = 'HUSTLER', release_amount = 4000,"
        " refund_amount = 0, resolved_by = {admin}, resolution = 'r', resolved_at = hx_clock()"
        " where task_id = $1",
        task,
    )
    await judge.refuses(verdict, cancel, task)
    await judge.refuses(ENDED, "update tasks set state = 'DISPUTED' where id = {paid}")
    await judge.does(
        "insert into proofs (task_id, hustler_id, kind, state) values ($1, $2, 'DECISION',"
        " 'ACCEPTED')",
        task,
        hustler,
    )
    await judge.allows("update tasks set state = 'COMPLETED' where id = $1", task)


TERMS = (
    "category = 'other'",
    "deadline = hx_clock() + interval '1 day'",
    "location_lat = 1",
    "location_lng = 1",
    "location_address = 'x'",
    "place_lat = 1",
    "place_lng = 1",
    "requires_proof = false",
    "min_photos = 2",
    "estimated_minutes = 9",
    "required_trade = 'roofer'",
    "required_trust_tier = 4",
    "insurance_required = true",
    "background_check_required = true",
    "partition = 8",
)


@rule("tasks.task_terms_guard")
async def the_terms_of_a_funded_task_are_fixed(judge: Judge) -> None:
    """HX019: what was offered and what is held; free before the funding."""
    for change in TERMS:
        for task in ("live", "held", "working", "submitted", "disputed"):
            await judge.refuses(EDIT, f"update tasks set {change} where id = {{{task}}}")
        for task in ("bare", "draft"):
            await judge.allows(f"update tasks set {change} where id = {{{task}}}")


@rule("tasks.task_terms_guard")
async def title_and_description_are_free_until_work_begins_or_cards_show_them(
    judge: Judge,
) -> None:
    """HX019 while it is broadcast and from WORKING on."""
    for change in ("title = 'Hang two'", "description = 'Both.'"):
        for task in ("live", "working", "submitted"):
            await judge.refuses(EDIT, f"update tasks set {change} where id = {{{task}}}")
        for task in ("bare", "open", "held"):
            await judge.allows(f"update tasks set {change} where id = {{{task}}}")


@rule("tasks.task_terms_guard")
async def the_poster_never_changes(judge: Judge) -> None:
    """HX019, unfunded too: a task is its poster's from birth."""
    for task in ("bare", "draft", "live", "held"):
        await judge.refuses(EDIT, f"update tasks set poster_id = {{poster}} where id = {{{task}}}")


@rule("tasks.task_terms_guard")
async def the_price_of_a_funded_task_follows_its_escrow(judge: Judge) -> None:
    """HX019 for any other price, or after the work began."""
    for task in ("live", "open", "held", "working", "submitted", "disputed"):
        await judge.refuses(EDIT, f"update tasks set price = 5000 where id = {{{task}}}")
    await judge.allows("update tasks set price = 5000 where id = {bare}")


@rule("tasks.task_transition_audit_insert", "tasks.task_transition_audit_update")
async def every_step_stands_in_the_audit_trail(judge: Judge) -> None:
    """A change by hand too, with the actor that was named."""
    task = await judge.value((NEW % ("", "STANDARD", "OPEN", "")) + " returning id")
    trail = "select array_agg(coalesce(from_state, '') || '>' || to_state order by id) = $2"
    await judge.holds(f"{trail} from task_transitions where task_id = $1", task, [">OPEN"])
    await judge.does("update tasks set state = 'CANCELLED' where id = $1", task)
    await judge.holds(
        f"{trail} from task_transitions where task_id = $1", task, [">OPEN", "OPEN>CANCELLED"]
    )


@rule("task_transitions.task_transitions_append_only")
async def the_audit_trail_only_grows(judge: Judge) -> None:
    """HX801 (AUDIT-5)."""
    for statement in ("delete from task_transitions", "update task_transitions set reason = 'x'"):
        await judge.refuses(("HX801", "AUDIT-5"), statement)
        await judge.refuses(("HX801", "AUDIT-5"), f"{statement} where false")
    if judge.role == "owner":
        await judge.refuses(("HX801", "AUDIT-5"), "truncate task_transitions")


@rule("tasks.task_version")
async def every_change_of_the_terms_counts(judge: Judge) -> None:
    """An accept that names an older version is refused; other changes count nothing."""
    task = await judge.market.task("STANDARD")
    version = 1
    for change in (*TERMS, "title = 'T'", "description = 'D'", "price = 5000"):
        await judge.does(f"update tasks set {change} where id = $1", task)
        version += 1
        await judge.holds("select version = $2 from tasks where id = $1", task, version)
    await judge.does("update tasks set updated_at = hx_clock() where id = $1", task)
    await judge.holds("select version = $2 from tasks where id = $1", task, version)
