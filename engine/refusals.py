"""Database errors become refusals, by SQLSTATE and constraint, never by class or text."""

from __future__ import annotations

from engine import errors
from sql.database import DatabaseError

# Built-in violations that stand for a rule of ours.
_BY_CONSTRAINT = {
    "one_active_live_task_per_hustler": ("HX014", "BUSY"),
    "tasks_live_price_floor": ("HX902", "LIVE-2"),
    "tasks_not_own": ("HX013", "OWN-TASK"),
}
# What a caller reads where the title alone would not help.
_SAID = {
    "tasks_deadline_ahead": "A deadline lies between now and a year from now.",
    "progress_time_zone": "There is no time zone of that name - at `$.time_zone`",
    "dispute_split": "A split releases at least a cent and less than is held.",
    "live_ban_ahead": "A ban ends between now and ten years from now.",
    "reference_used": "That reference belongs to another settlement.",
    "payout_account_used": "That account belongs to another hustler.",
    "increase_price": "The new price is above the present one.",
    "other_price": "That is the price already.",
}
_BY_STATE = {
    "P0002": ("NOT_FOUND", ""),
    # lock time-out, deadlock, serialisation failure, cancelled by a time-out: nothing was done
    "55P03": ("HX017", "LOCK"),
    "40P01": ("HX017", "LOCK"),
    "40001": ("HX017", "LOCK"),
    "57014": ("HX017", "LOCK"),
    # a CHECK that the border should have caught
    "23514": ("VALIDATION_ERROR", ""),
    "22003": ("VALIDATION_ERROR", ""),
}


def refusal_of(error: DatabaseError) -> errors.Refusal | None:
    """The refusal an error stands for; None when it is a defect of ours."""
    identity = (
        (error.sqlstate, error.constraint)
        if error.sqlstate.startswith("HX")
        else _BY_CONSTRAINT.get(error.constraint) or _BY_STATE.get(error.sqlstate)
    )
    kind = errors.REGISTRY.get(identity) if identity else None
    if kind is None:
        return None
    ours = error.sqlstate.startswith("HX")
    return errors.Refusal(
        kind,
        _SAID.get(error.constraint),
        retry_after_s=float(error.detail) if ours and error.detail else None,
    )
