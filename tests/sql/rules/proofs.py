"""Proofs, their photos, and the uploads behind them."""

from __future__ import annotations

from tests.sql.rules.rule_checker import RuleChecker, rule
from tests.sql.rules.shapes import checks, references, uniques

NO_PROOF = ("HX301", "INV-3")
STEP = ("HX010", "PROOF-TRANSITION")
GROWS = ("HX801", "AUDIT-5")

checks(
    "uploads",
    ("uploads_type", "content_type = 'image/gif'", "content_type = 'image/png'"),
    ("uploads_bytes", "bytes = 10485761", "bytes = 10485760"),
    ("uploads_place", "gps_latitude = null", "gps_latitude = null, gps_longitude = null"),
)
references("uploads", ("uploads_user", "user_id"))
uniques("uploads", ("uploads_storage_key", "storage_key = 'x'", "storage_key = id::text"))
checks(
    "proofs",
    ("proofs_kind", "kind = 'WORD'", "kind = 'CODE'"),
    ("proofs_state", "state = 'LOST'", "state = 'EXPIRED'"),
    (
        "proofs_rejected",
        r"reject_reason = E'\u2060 ' where state = 'REJECTED'",
        "reject_reason = 'no' where state = 'REJECTED'",
    ),
)
references("proofs", ("proofs_task", "task_id"))
uniques(
    "proofs",
    (
        "one_open_proof_per_task",
        "task_id = {submitted}, state = 'SUBMITTED'",
        "task_id = {submitted}, state = 'EXPIRED'",
    ),
)
checks(
    "proof_photos",
    ("proof_photos_count", "upload_order = 6", "upload_order = 5"),
    ("proof_photos_type", "mime_type = 'image/gif'", "mime_type = 'image/png'"),
    ("proof_photos_size", "file_size = 0", "file_size = 1"),
)
references("proof_photos", ("proof_photos_proof", "proof_id"), ("proof_photos_upload", "upload_id"))
uniques(
    "proof_photos",
    ("proof_photos_once", "upload_id = {photo}", "upload_order = 2"),
    ("proof_photos_order", "proof_id = {submitted_proof}", "upload_order = 3"),
)

PROOF = "insert into proofs (task_id, hustler_id, kind, state) values ({%s}, {%s}, '%s', '%s')"


@rule("proofs.proof_guard")
async def a_proof_is_handed_in_by_who_holds_the_task(checker: RuleChecker) -> None:
    """HX301: no stranger, no task that nobody works on, none accepted at birth."""
    await checker.refuses(NO_PROOF, PROOF % ("held", "hustler", "CODE", "SUBMITTED"))
    await checker.refuses(NO_PROOF, PROOF % ("live", "live_hustler", "CODE", "SUBMITTED"))
    await checker.refuses(NO_PROOF, PROOF % ("disputed", "disputed_hustler", "CODE", "SUBMITTED"))
    await checker.refuses(NO_PROOF, PROOF % ("submitted", "submitted_hustler", "CODE", "SUBMITTED"))
    for state in ("ACCEPTED", "REJECTED", "EXPIRED"):
        await checker.refuses(NO_PROOF, PROOF % ("held", "held_hustler", "CODE", state))
    await checker.refuses(NO_PROOF, PROOF % ("held", "held_hustler", "NONE", "SUBMITTED"))
    for state in ("PENDING", "SUBMITTED"):
        await checker.allows(PROOF % ("held", "held_hustler", "CODE", state))


@rule("proofs.proof_guard")
async def a_decision_stands_only_on_a_resolved_dispute(checker: RuleChecker) -> None:
    """HX301 (INV-3): for the hustler of that task, decided for them or split."""
    decision = ("DECISION", "ACCEPTED")
    for task in ("held", "disputed", "submitted"):
        await checker.refuses(NO_PROOF, PROOF % (task, f"{task}_hustler", *decision))
    lost, hustler = await checker.market.resolved("POSTER")
    own = "insert into proofs (task_id, hustler_id, kind, state) values ($1, $2, 'DECISION', $3)"
    await checker.refuses(NO_PROOF, own, lost, hustler, "ACCEPTED")
    await checker.refuses(NO_PROOF, PROOF % ("split", "hustler", *decision))
    await checker.refuses(NO_PROOF, PROOF % ("split", "split_hustler", "DECISION", "SUBMITTED"))
    await checker.allows(PROOF % ("split", "split_hustler", *decision))


@rule("proofs.proof_guard")
async def a_proof_stays_what_and_whose_it_is(checker: RuleChecker) -> None:
    """HX301 for another task, hustler or kind."""
    for change in ("task_id = {working}", "hustler_id = {hustler}", "kind = 'CODE'"):
        await checker.refuses(
            NO_PROOF, f"update proofs set {change} where id = {{submitted_proof}}"
        )
    await checker.refuses(
        STEP,
        "update proofs set submitted_at = hx_clock() - interval '3 days',"
        " review_deadline = hx_clock() where id = {submitted_proof}",
    )


@rule("proofs.proof_guard")
async def a_proof_moves_along_the_lifecycle_and_ends(checker: RuleChecker) -> None:
    """HX010: nothing comes back, and what was reviewed stays reviewed."""
    change = "update proofs set %s where id = {%s_proof}"
    await checker.refuses(STEP, change % ("state = 'PENDING'", "submitted"))
    for what in ("state = 'SUBMITTED'", "reject_reason = 'other'", "reviewed_at = null"):
        await checker.refuses(STEP, change % (what, "rejected"))
        await checker.refuses(STEP, change % (what, "paid"))
    await checker.allows(change % ("state = 'ACCEPTED'", "submitted"))
    await checker.allows(change % ("state = 'REJECTED', reject_reason = 'no'", "submitted"))


PHOTO = (
    "insert into proof_photos (proof_id, upload_id, storage_url, file_size, mime_type,"
    " gps_latitude, gps_longitude, capture_timestamp, upload_order)"
    " select $1, id, storage_key, bytes, content_type, gps_latitude, gps_longitude,"
    " coalesce(captured_at, created_at), $3 from uploads where id = $2"
)


@rule("proofs.proof_guard")
async def a_photo_proof_has_as_many_photos_as_the_task_asks_for(checker: RuleChecker) -> None:
    """HX301 with too few, at birth and later."""
    task, hustler = await checker.market.working()
    new = "insert into proofs (task_id, hustler_id, kind, state) values ($1, $2, 'PHOTOS', $3)"
    await checker.refuses(NO_PROOF, new, task, hustler, "SUBMITTED")
    proof = await checker.value(f"{new} returning id", task, hustler, "PENDING")
    submit = "update proofs set state = 'SUBMITTED' where id = $1"
    await checker.refuses(NO_PROOF, submit, proof)
    await checker.does(PHOTO, proof, await checker.market.photo(hustler), 1)
    await checker.allows(submit, proof)


@rule("proof_photos.proof_photo_guard")
async def a_photo_is_its_hustler_s_own_as_it_was_uploaded(checker: RuleChecker) -> None:
    """HX010: nobody else's, none for a proof that is under review, nothing forged about it."""
    market = checker.market
    task, hustler = await market.working()
    own, foreign = await market.photo(hustler), await market.photo(await market.user("hustler"))
    new = "insert into proofs (task_id, hustler_id, kind) values ($1, $2, $3) returning id"
    code = await checker.value(new, task, hustler, "CODE")
    await checker.refuses(STEP, PHOTO, code, own, 1)
    await checker.does("update proofs set state = 'EXPIRED' where id = $1", code)
    proof = await checker.value(new, task, hustler, "PHOTOS")
    await checker.refuses(STEP, PHOTO, proof, foreign, 1)
    for real, forged in (
        ("storage_key,", "'elsewhere',"),
        (" bytes,", " 5,"),
        ("content_type,", "'image/png',"),
        ("select $1, id, storage_key, bytes, content_type, gps_latitude", ("select $1, id,"
         " storage_key, bytes, content_type, 1")),
        ("gps_longitude, coalesce", "1, coalesce"),
        ("coalesce(captured_at, created_at)", "hx_clock()"),
    ):  # fmt: skip
        await checker.refuses(STEP, PHOTO.replace(real, forged), proof, own, 1)
    await checker.does(PHOTO, proof, own, 1)
    await checker.does("update proofs set state = 'SUBMITTED' where id = $1", proof)
    await checker.refuses(STEP, PHOTO, proof, await market.photo(hustler), 2)


@rule("proof_photos.proof_photos_append_only")
async def what_was_handed_in_stays_what_it_was(checker: RuleChecker) -> None:
    """HX801 (AUDIT-5)."""
    for statement in ("delete from proof_photos", "update proof_photos set storage_url = 'x'"):
        await checker.refuses(GROWS, statement)
        await checker.refuses(GROWS, f"{statement} where false")
    if checker.role == "owner":
        await checker.refuses(GROWS, "truncate proof_photos")


@rule("uploads.upload_guard")
async def an_upload_stays_what_it_was_and_is_used_once(checker: RuleChecker) -> None:
    """HX801: nothing about it is changed, and only an unused one is deleted."""
    fresh = await checker.market.photo(await checker.market.user("hustler"))
    used = "(select upload_id from proof_photos where proof_id = {submitted_proof})"
    for column, value in (
        ("user_id", "{hustler}"),
        ("storage_key", "'elsewhere'"),
        ("gps_latitude", "1"),
        ("captured_at", "hx_clock()"),
    ):
        await checker.refuses(GROWS, f"update uploads set {column} = {value} where id = $1", fresh)
    for change in ("used_at = null", "used_at = hx_clock()"):
        await checker.refuses(GROWS, f"update uploads set {change} where id = {used}")
    await checker.refuses(GROWS, f"delete from uploads where id = {used}")
    await checker.allows("update uploads set used_at = hx_clock() where id = $1", fresh)
    await checker.allows("delete from uploads where id = $1", fresh)
