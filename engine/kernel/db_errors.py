"""Maps database errors to refusals, by SQLSTATE and constraint, never by class or text."""

from __future__ import annotations

from engine.kernel import errors
from sql.database import DatabaseError

# Built-in violations that stand for a rule of ours.
_BY_CONSTRAINT = {
    "one_active_live_task_per_hustler": ("HX014", "BUSY"),
    "tasks_live_price_floor": ("HX902", "LIVE-2"),
    "tasks_not_own": ("HX013", "OWN-TASK"),
}
# The client's message where one field of the request is invalid.
_FIELDS = {
    "tasks_deadline_ahead": ("/deadline", "must lie between now and a year from now"),
    "progress_time_zone": ("/time_zone", "must be the name of a time zone"),
    "dispute_split": ("/release_cents", "must be at least a cent and less than is held"),
    "live_ban_ahead": ("/until", "must lie between now and ten years from now"),
    "live_cooldown_ahead": ("/until", "must lie between now and seven days from now"),
    "evidence_limit": ("", "is beyond the 20 pieces of evidence that each side may add"),
    "reference_used": ("/reference", "belongs to another settlement"),
    "payout_account_used": ("/account_id", "belongs to another hustler"),
    "increase_price": ("/price_cents", "must be above the present price"),
    "other_price": ("/price_cents", "is the price already"),
    "tasks_title": ("/title", "must show something, in at most 200 characters"),
    "tasks_description": ("/description", "must show something"),
    "tasks_category": ("/category", "must show something"),
    "tasks_trade": ("/required_trade", "must show something"),
    "tasks_address": ("/location/address", "must show something"),
}
# The rule's own name, where Postgres alone judges what else names its `reason`.
_REASONS = {("HX021", "ARRIVAL"): "not_at_place"}
_BY_STATE = {
    "P0002": ("NOT_FOUND", ""),
    # lock time-out, deadlock, serialisation failure, rolled back, cancelled by a time-out, a
    # snapshot too old: nothing was done
    "55P03": ("HX017", "LOCK"),
    "40P01": ("HX017", "LOCK"),
    "40000": ("HX017", "LOCK"),
    "40001": ("HX017", "LOCK"),
    "57014": ("HX017", "LOCK"),
    "72000": ("HX017", "LOCK"),
    # a CHECK that input validation should have caught
    "23514": ("VALIDATION_ERROR", ""),
}
_DATA_EXCEPTION = "22"
"""Class of every value that Postgres cannot take: out of range, badly written, NUL, division by 0."""
_WRONG_ARGUMENT = "22000"
"""The driver's word for an argument that is not of its parameter's type: a defect of ours."""


def refusal_of(error: DatabaseError) -> errors.Refusal | None:
    """Returns the refusal that an error stands for; None when the error is a defect of ours."""
    identity = _identity(error)
    kind = errors.REGISTRY.get(identity) if identity else None
    if kind is None:
        return None
    if kind.code == "VALIDATION_ERROR" and error.constraint in _FIELDS:
        return errors.invalid_field(*_FIELDS[error.constraint])
    ours = error.sqlstate.startswith("HX")
    return errors.Refusal(
        kind,
        retry_after_s=float(error.detail) if ours and error.detail else None,
        reason=_REASONS.get((kind.code, kind.invariant)),
    )


def _identity(error: DatabaseError) -> tuple[str, str] | None:
    if error.sqlstate.startswith("HX"):
        return error.sqlstate, error.constraint
    if error.sqlstate.startswith(_DATA_EXCEPTION) and error.sqlstate != _WRONG_ARGUMENT:
        return "VALIDATION_ERROR", ""
    return _BY_CONSTRAINT.get(error.constraint) or _BY_STATE.get(error.sqlstate)
