"""Tasks: their steps, their terms, and who holds them."""

from __future__ import annotations

from tests.sql.rules import arrivals
from tests.sql.rules.rule_checker import RuleChecker, rule
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
async def a_successor_names_a_task_that_exists(checker: RuleChecker) -> None:
    """23503 for one that is nowhere."""
    async with checker.behind("tasks") as alone:
        change = "update tasks set predecessor_id = %s where id = {bare}"
        await alone.refuses(("23503", "tasks_predecessor"), change % "gen_random_uuid()")
        await alone.allows(change % "{cancelled}")


@rule("tasks.task_terminal_guard")
async def an_ended_task_is_frozen_but_for_updated_at(checker: RuleChecker) -> None:
    """HX001 for COMPLETED, CANCELLED and EXPIRED alike."""
    await checker.refuses(ENDED, "UPDATE tasks SET title = 'Hacked' WHERE state = 'COMPLETED'")
    for task in ("paid", "cancelled", "expired"):
        for change in (
            "state = 'WORKING'", "state = 'DISPUTED'", "price = 9000", "cancel_reason = 'x'",
            "version = 9", "poster_id = {hustler}",
        ):  # fmt: skip
            await checker.refuses(ENDED, f"update tasks set {change} where id = {{{task}}}")
        await checker.allows(f"update tasks set updated_at = hx_clock() where id = {{{task}}}")


NEW = (
    "insert into tasks (mode, state, title, description, category, price, location_lat,"
    " location_lng, place_lat, place_lng, partition, poster_id%s)"
    " values ('%s', '%s', 't', 'd', 'c', 4000, 1, 1, 1, 1, 0, {poster}%s)"
)


@rule("tasks.task_transition_guard")
async def a_task_is_born_at_the_start_of_its_life(checker: RuleChecker) -> None:
    """HX010: in the state of its mode, without anything of a later state."""
    await checker.refuses(TRANSITION, NEW % ("", "STANDARD", "ACCEPTED", ""))
    await checker.refuses(TRANSITION, NEW % ("", "LIVE", "OPEN", ""))
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
        await checker.refuses(TRANSITION, NEW % (f", {column}", "LIVE", "MATCHING", f", {value}"))
    await checker.allows(NEW % ("", "LIVE", "MATCHING", ""))
    await checker.allows(NEW % ("", "STANDARD", "OPEN", ""))


@rule("tasks.task_transition_guard")
async def a_task_moves_only_along_the_lifecycle(checker: RuleChecker) -> None:
    """HX010; every pair of states is tried in test_machines."""
    await checker.refuses(TRANSITION, "update tasks set state = 'WORKING' where id = {open}")
    await checker.refuses(TRANSITION, "update tasks set state = 'ACCEPTED' where id = {working}")
    await checker.allows("update tasks set state = 'CANCELLED' where id = {live}")


@rule("tasks.task_transition_guard")
async def nothing_expires_before_its_deadline(checker: RuleChecker) -> None:
    """HX010 with a deadline ahead and with none."""
    task = await checker.market.task("STANDARD")
    expire = "update tasks set state = 'EXPIRED' where id = $1"
    deadline = "update tasks set deadline = hx_clock() + $2::text::interval where id = $1"
    await checker.refuses(TRANSITION, expire, task)
    await checker.does(deadline, task, "1 hour")
    await checker.refuses(TRANSITION, expire, task)
    await checker.does(deadline, task, "-1 second")
    await checker.allows(expire, task)


@rule("tasks.task_marks_guard", "tasks.task_transition_guard")
async def an_arrival_is_recorded_once_and_binds_the_poster(checker: RuleChecker) -> None:
    """HX010: neither cancelled afterwards nor forgotten so that it can be."""
    task, hustler = await checker.market.accepted()
    arrive = "update tasks set arrived_at = hx_clock() where id = $1"
    await checker.refuses(TRANSITION, arrive.replace("$1", "{live}"))
    await checker.allows("update tasks set state = 'CANCELLED' where id = $1", task)
    await checker.market.arrive(hustler, task)
    await checker.refuses(TRANSITION, arrive, task)
    await checker.refuses(TRANSITION, "update tasks set arrived_at = null where id = $1", task)
    cancel = "update tasks set state = 'CANCELLED', cancel_reason = $2 where id = $1"
    await checker.refuses(TRANSITION, cancel, task, "POSTER_CANCELLED")
    await checker.refuses(TRANSITION, cancel, task, None)
    await checker.allows(cancel, task, "HUSTLER_RELEASED")
    await checker.market.commands.tasks.release(hustler, task, None)


@rule("tasks.task_marks_guard")
async def each_mark_is_made_by_its_own_step_and_stays(checker: RuleChecker) -> None:
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
        await checker.refuses(TRANSITION, f"update tasks set {change} where id = {{{task}}}")
    met, hustler = await checker.market.accepted()
    at = await checker.value(f"{arrivals.COMES} returning at", met, hustler, "START_CODE")
    await checker.allows(
        "update tasks set state = 'WORKING', started_at = $2 where id = $1", met, at
    )


@rule("tasks.task_transition_guard")
async def nobody_assigns(checker: RuleChecker) -> None:
    """LIVE-7: only an accept writes the hustler, and nothing takes the task from them."""
    assign = "update tasks set assigned_hustler_id = {hustler} where id = "
    for task in ("open", "live", "held", "working", "submitted"):
        await checker.refuses(TRANSITION, assign + f"{{{task}}}")
    await checker.does("insert into acceptances (task_id, hustler_id) values ({open}, {hustler})")
    await checker.allows(
        "update tasks set state = 'ACCEPTED', assigned_hustler_id = {hustler} where id = {open}"
    )


@rule("tasks.task_marks_guard")
async def a_no_show_is_no_reason_before_its_time(checker: RuleChecker) -> None:
    """HX010 NO-SHOW until 15 minutes after the hustler was expected."""
    say = "update tasks set state = 'CANCELLED', cancel_reason = 'NO_SHOW' where id = {rushed}"
    await checker.refuses(("HX010", "NO-SHOW"), say)
    await checker.allows(say.replace("NO_SHOW", "POSTER_CANCELLED"))


@rule("tasks.task_transition_guard", "tasks.task_marks_guard")
async def a_task_follows_another_from_birth_or_never(checker: RuleChecker) -> None:
    """HX010: a successor is its poster's own, of an ended task, for the same price."""
    successor = NEW % (", predecessor_id", "LIVE", "MATCHING", ", {%s}")
    await checker.refuses(
        TRANSITION, "update tasks set predecessor_id = {cancelled} where id = {bare}"
    )
    await checker.refuses(TRANSITION, "update tasks set predecessor_id = null where id = {heir}")
    await checker.refuses(TRANSITION, successor % "cancelled")
    own = successor.replace("{poster}", "{%s_poster}")
    await checker.refuses(TRANSITION, own % ("live", "live"))
    await checker.refuses(TRANSITION, own.replace("4000", "4001") % ("cancelled", "cancelled"))
    await checker.allows(own % ("cancelled", "cancelled"))


@rule("tasks.task_marks_guard")
async def rejections_count_the_proofs_that_were_turned_down(checker: RuleChecker) -> None:
    """HX010: a forged one would free its hustler for a second LIVE task, or open a dispute."""
    for task, count in (
        ("rushed", 1),
        ("held", 3),
        ("working", 1),
        ("rejected", 0),
        ("live", 1),
        ("submitted", 1),
    ):
        await checker.refuses(
            TRANSITION, f"update tasks set rejections = {count} where id = {{{task}}}"
        )
    await checker.allows("update tasks set rejections = 1 where id = {rejected}")


@rule("tasks.task_mode_immutable")
async def the_mode_never_changes(checker: RuleChecker) -> None:
    """HX010 MODE-IMMUTABLE, both ways, funded or not."""
    identity = ("HX010", "MODE-IMMUTABLE")
    await checker.refuses(identity, "update tasks set mode = 'STANDARD' where id = {unfunded}")
    await checker.refuses(identity, "update tasks set mode = 'LIVE' where id = {bare}")
    await checker.refuses(ENDED, "update tasks set mode = 'STANDARD' where id = {cancelled}")
    await checker.allows("update tasks set mode = 'LIVE' where id = {live}")


@rule("tasks.live_price_floor")
async def a_live_task_costs_at_least_15_dollars(checker: RuleChecker) -> None:
    """HX902 on insert and on update; STANDARD from $5.00."""
    new = NEW % ("", "LIVE", "MATCHING", "")
    await checker.refuses(("HX902", "LIVE-2"), new.replace("4000", "1499"))
    await checker.allows(new.replace("4000", "1500"))
    price = "update tasks set price = %d where id = {%s}"
    await checker.refuses(("HX902", "LIVE-2"), price % (1_499, "unfunded"))
    await checker.allows(price % (1_500, "unfunded"))
    await checker.allows(price % (500, "bare"))


@rule("tasks.task_completed_requires_accepted_proof")
async def a_task_completes_only_with_an_accepted_proof(checker: RuleChecker) -> None:
    """HX301 (INV-3), also where the demand for a proof is dropped in the same breath."""
    complete = "UPDATE tasks SET state = 'COMPLETED' WHERE id = {submitted}"
    await checker.refuses(NO_PROOF, complete)
    await checker.refuses(NO_PROOF, complete.replace("SET", "SET requires_proof = false,"))
    await checker.refuses(
        NO_PROOF,
        "UPDATE tasks SET state = 'COMPLETED' WHERE state = 'PROOF_SUBMITTED' AND NOT EXISTS"
        " (SELECT 1 FROM proofs WHERE task_id = tasks.id AND state = 'ACCEPTED')",
    )
    proven, _ = await checker.market.submitted()
    await checker.does("update proofs set state = 'ACCEPTED' where task_id = $1", proven)
    await checker.allows("update tasks set state = 'COMPLETED' where id = $1", proven)
    free, hustler = await checker.market.working(requires_proof=False)
    await checker.market.commands.proofs.submit(hustler, free, None)
    await checker.allows("update tasks set state = 'COMPLETED' where id = $1", free)


@rule("tasks.task_submission_requires_proof")
async def a_task_waits_for_review_only_with_a_submitted_proof(checker: RuleChecker) -> None:
    """HX301: from ACCEPTED and from WORKING, also after one that was turned down."""
    submit = "update tasks set state = 'PROOF_SUBMITTED' where id = {%s}"
    for task in ("held", "working", "rejected"):
        await checker.refuses(NO_PROOF, submit % task)
    await checker.does(
        "insert into proofs (task_id, hustler_id, kind, state)"
        " values ({rejected}, {rejected_hustler}, 'CODE', 'SUBMITTED')"
    )
    await checker.allows(submit % "rejected")
    await checker.does(
        "update proofs set state = 'EXPIRED' where task_id = {rejected} and state = 'SUBMITTED'"
    )


@rule("tasks.task_reject_guard")
async def a_task_goes_back_only_with_its_proof_turned_down(checker: RuleChecker) -> None:
    """HX010: to where it came from, one more rejection counted, twice at most."""
    task, _ = await checker.market.submitted()
    back = "update tasks set state = $2, rejections = $3 where id = $1"
    await checker.refuses(TRANSITION, back, task, "WORKING", 0)
    await checker.refuses(TRANSITION, back, task, "WORKING", 1)
    expire = await checker.market.submitted()
    await checker.does("update proofs set state = 'EXPIRED' where task_id = $1", expire[0])
    await checker.refuses(TRANSITION, back, expire[0], "WORKING", 0)

    reject = (
        "update proofs set state = 'REJECTED', reject_reason = 'no'"
        " where task_id = $1 and state = 'SUBMITTED'"
    )
    again = (
        "insert into proofs (task_id, hustler_id, kind, state) select id, assigned_hustler_id,"
        " 'CODE', 'SUBMITTED' from tasks where id = $1"
    )
    submit = "update tasks set state = 'PROOF_SUBMITTED' where id = $1"
    await checker.does(reject, task)
    await checker.refuses(TRANSITION, back, task, "ACCEPTED", 1)
    await checker.refuses(TRANSITION, back, task, "WORKING", 0)
    await checker.refuses(TRANSITION, back, task, "WORKING", 2)
    await checker.does(back, task, "WORKING", 1)
    for statement in (again, submit, reject):
        await checker.does(statement, task)
    await checker.does(back, task, "WORKING", 2)
    for statement in (again, submit, reject):
        await checker.does(statement, task)
    await checker.refuses(TRANSITION, back, task, "WORKING", 3)


@rule("tasks.task_accept_guard")
async def an_accept_by_hand_meets_every_guard(checker: RuleChecker) -> None:
    """HX010, HX013, HX016, HX903, HX012 and HX015 hold for a plain UPDATE too."""
    market = checker.market
    accept = "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1"
    live = await market.live_hustler()
    task = await market.funded()
    await checker.refuses(TRANSITION, "update tasks set state = 'ACCEPTED' where id = {open}")
    await checker.refuses(("HX016", "FUNDED"), accept, await market.task(), live)
    await checker.refuses(("HX013", "OWN-TASK"), accept, task, await market.poster_of(task))
    await checker.refuses(("HX903", "LIVE-3"), accept, task, await market.user("hustler"))
    await checker.refuses(("HX012", "ELIGIBILITY"), accept, task, live)
    declined = await market.offered(task)
    await checker.does(
        "update offers set response = 'DECLINE', responded_at = hx_clock() where hustler_id = $1",
        declined,
    )
    await checker.refuses(("HX012", "ELIGIBILITY"), accept, task, declined)
    await market.offer(task, live)
    await checker.does(
        "update offers set response = 'ACCEPT', responded_at = hx_clock() where hustler_id = $1",
        live,
    )
    await checker.allows(accept, task, live)
    await checker.does(
        "update live_broadcasts set state = 'EXPIRED', ended_at = hx_clock() where task_id = $1",
        task,
    )
    await checker.refuses(("HX015", "LIVE-5"), accept, task, live)


@rule("tasks.task_accept_guard")
async def only_the_eligible_accept(checker: RuleChecker) -> None:
    """HX012: nobody of a lower tier, nobody paused, nobody who gave this very work back."""
    market = checker.market
    accept = "update tasks set state = 'ACCEPTED', assigned_hustler_id = $2 where id = $1"
    task = await market.task("STANDARD")
    await checker.does("update tasks set required_trust_tier = 3 where id = $1", task)
    await market.commands.money.fund(await market.poster_of(task), task)
    for stranger in (
        await market.user("hustler", trust_tier=2),
        await market.user("poster", trust_tier=3),
    ):
        await checker.refuses(("HX012", "ELIGIBILITY"), accept, task, stranger)
    able = await market.user("hustler", trust_tier=3)
    await checker.does("insert into acceptances (task_id, hustler_id) values ($1, $2)", task, able)
    await checker.allows(accept, task, able)
    await market.commands.live.accept(able, task)
    await market.commands.tasks.release(able, task, None)
    successor = await checker.value("select id from tasks where predecessor_id = $1", task)
    await checker.refuses(("HX012", "ELIGIBILITY"), accept, successor, able)


@rule("tasks.task_dispute_guard")
async def a_task_is_disputed_with_its_money_locked_and_leaves_as_decided(
    checker: RuleChecker,
) -> None:
    """HX010: into DISPUTED and out of it only as the dispute stands."""
    identity = ("HX010", "DISPUTE-TRANSITION")
    task, hustler = await checker.market.working()
    stop = "update tasks set state = 'DISPUTED' where id = $1"
    await checker.refuses(identity, stop, task)
    await checker.does(
        "insert into disputes (task_id, escrow_id, opened_by, side, reason, evidence_due_at)"
        " select $1, id, $2, 'HUSTLER', 'why', hx_clock() from escrows where task_id = $1",
        task,
        hustler,
    )
    await checker.refuses(identity, stop, task)
    await checker.does("update escrows set state = 'LOCKED_DISPUTE' where task_id = $1", task)
    await checker.does(stop, task)
    cancel = "update tasks set state = 'CANCELLED' where id = $1"
    await checker.refuses(identity, cancel, task)
    await checker.does(
        "insert into admin_actions (admin_id, action_type, target_type, target_id, reason,"
        " metadata) select {admin}, 'RESOLVE_DISPUTE', 'dispute', id, 'r',"
        " jsonb_build_object('outcome', 'HUSTLER', 'release_cents', 4000)"
        " from disputes where task_id = $1",
        task,
    )
    await checker.does(
        "update disputes set state = 'RESOLVED', outcome = 'HUSTLER', release_amount = 4000,"
        " refund_amount = 0, resolved_by = {admin}, resolution = 'r', resolved_at = hx_clock()"
        " where task_id = $1",
        task,
    )
    await checker.refuses(identity, cancel, task)
    await checker.refuses(ENDED, "update tasks set state = 'DISPUTED' where id = {paid}")
    await checker.does(
        "insert into proofs (task_id, hustler_id, kind, state) values ($1, $2, 'DECISION',"
        " 'ACCEPTED')",
        task,
        hustler,
    )
    await checker.allows("update tasks set state = 'COMPLETED' where id = $1", task)


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
async def the_terms_of_a_funded_task_are_fixed(checker: RuleChecker) -> None:
    """HX019: what was offered and what is held; free before the funding."""
    for change in TERMS:
        for task in ("live", "held", "working", "submitted", "disputed"):
            await checker.refuses(EDIT, f"update tasks set {change} where id = {{{task}}}")
        for task in ("bare", "draft"):
            await checker.allows(f"update tasks set {change} where id = {{{task}}}")


@rule("tasks.task_terms_guard")
async def title_and_description_are_free_until_work_begins_or_cards_show_them(
    checker: RuleChecker,
) -> None:
    """HX019 while it is broadcast and from WORKING on."""
    for change in ("title = 'Hang two'", "description = 'Both.'"):
        for task in ("live", "working", "submitted"):
            await checker.refuses(EDIT, f"update tasks set {change} where id = {{{task}}}")
        for task in ("bare", "open", "held"):
            await checker.allows(f"update tasks set {change} where id = {{{task}}}")


@rule("tasks.task_terms_guard")
async def the_poster_never_changes(checker: RuleChecker) -> None:
    """HX019, unfunded too: a task is its poster's from birth."""
    for task in ("bare", "draft", "live", "held"):
        await checker.refuses(
            EDIT, f"update tasks set poster_id = {{poster}} where id = {{{task}}}"
        )


@rule("tasks.task_terms_guard")
async def the_price_of_a_funded_task_follows_its_escrow(checker: RuleChecker) -> None:
    """HX019 for any other price, or after the work began."""
    for task in ("live", "open", "held", "working", "submitted", "disputed"):
        await checker.refuses(EDIT, f"update tasks set price = 5000 where id = {{{task}}}")
    await checker.allows("update tasks set price = 5000 where id = {bare}")


@rule("tasks.task_transition_audit_insert", "tasks.task_transition_audit_update")
async def every_step_stands_in_the_audit_trail(checker: RuleChecker) -> None:
    """A change by hand too, with the actor that was named."""
    task = await checker.value((NEW % ("", "STANDARD", "OPEN", "")) + " returning id")
    trail = "select array_agg(coalesce(from_state, '') || '>' || to_state order by id) = $2"
    await checker.holds(f"{trail} from task_transitions where task_id = $1", task, [">OPEN"])
    await checker.does("update tasks set state = 'CANCELLED' where id = $1", task)
    await checker.holds(
        f"{trail} from task_transitions where task_id = $1", task, [">OPEN", "OPEN>CANCELLED"]
    )


@rule("task_transitions.task_transitions_append_only")
async def the_audit_trail_only_grows(checker: RuleChecker) -> None:
    """HX801 (AUDIT-5)."""
    for statement in ("delete from task_transitions", "update task_transitions set reason = 'x'"):
        await checker.refuses(("HX801", "AUDIT-5"), statement)
        await checker.refuses(("HX801", "AUDIT-5"), f"{statement} where false")
    if checker.role == "owner":
        await checker.refuses(("HX801", "AUDIT-5"), "truncate task_transitions")


@rule("tasks.task_version")
async def every_change_of_the_terms_counts(checker: RuleChecker) -> None:
    """An accept that names an older version is refused; other changes count nothing."""
    task = await checker.market.task("STANDARD")
    version = 1
    for change in (*TERMS, "title = 'T'", "description = 'D'", "price = 5000"):
        await checker.does(f"update tasks set {change} where id = $1", task)
        version += 1
        await checker.holds("select version = $2 from tasks where id = $1", task, version)
    await checker.does("update tasks set updated_at = hx_clock() where id = $1", task)
    await checker.holds("select version = $2 from tasks where id = $1", task, version)
