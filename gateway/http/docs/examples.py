"""An example for every body and every answer, made from its schema and the names of its fields.

Values are those of one small story: a door is hung for 40 dollars in San Francisco.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

ID: Final = "7f0c2f6e-2f5e-4c1b-9a53-0d6c3b1f8e21"
TIME: Final = "2026-11-28T18:04:05Z"

# By the name of a field; what is not here follows from its schema.
NAMED: Final[Mapping[str, Any]] = {
    "accepted_at": None,
    "account_id": "acct_1PZc2hQv5Nd0aB7x",
    "action": "suspend_user",
    "action_type": "cancel_task",
    "address": "455 Folsom Street",
    "amount_cents": 4000,
    "arrived_at": None,
    "assigned_hustler_id": None,
    "badge_type": "TASKS_10",
    "cancel_reason": None,
    "categories": ["handyman"],
    "category": "handyman",
    "client_secret": None,
    "close": 4100,
    "code": "482913",
    "completed_at": None,
    "completion_code": "730154",
    "content_type": "image/jpeg",
    "count": 1,
    "deadline": None,
    "description": "It came off its hinges.",
    "detail": "Only the poster of a task may fund it.",
    "distance_miles": 0.4,
    "en_route_at": None,
    "ends_at": None,
    "estimated_minutes": 30,
    "eta_at": None,
    "fee_cents": 600,
    "first_name": "Ada",
    "hustler_name": "Ada",
    "hustler_pay_cents": 3400,
    "instance": "/v1/tasks/7f0c2f6e-2f5e-4c1b-9a53-0d6c3b1f8e21",
    "invariant": "PERMISSION",
    "last_error": None,
    "lat": 37.7755,
    "late_payment": None,
    "level_title": "Rookie",
    "lng": -122.418,
    "matching_score": 0.81,
    "media_type": "image/jpeg",
    "mode": "LIVE",
    "name": "Ada",
    "next_cursor": None,
    "note": None,
    "onboarding_url": "https://connect.stripe.com/setup/e/acct_1PZc2hQv5Nd0aB7x/x",
    "payment": None,
    "place": "about 0.3 miles around",
    "poster_name": "Ben",
    "predecessor_id": None,
    "price_cents": 4000,
    "proposal": None,
    "radius_miles": 3.0,
    "reason": "The customer moved the appointment.",
    "reference": "re_3PZc2hQv5Nd0aB7x",
    "refund": None,
    "reject_reason": None,
    "replacement": None,
    "request_id": "3268fa828ecb42c99a70159908dfcd73",
    "required_trade": None,
    "resolution": None,
    "response": None,
    "retry_after_seconds": None,
    "return_url": "https://app.example.com/payouts",
    "seq": 17,
    "start_code": "482913",
    "status": 403,
    "subject": "ITEM",
    "successor_id": None,
    "target_id": "7f0c2f6e-2f5e-4c1b-9a53-0d6c3b1f8e21",
    "target_type": "task",
    "text": "The door was hung and closes well.",
    "tier": 3,
    "time_zone": "America/Los_Angeles",
    "timezone": "America/Los_Angeles",
    "title": "Hang a door",
    "total_xp": 340,
    "transfer": None,
    "trust_tier": 2,
    "type": "TASK_STATUS_UPDATE",
    "version": 1,
    "xp_multiplier": 1.25,
}
# A body whose fields depend on one another, or whose optional ones say what it is for.
BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "AcceptRequest": {"version": 1},
    "ChoiceRequest": {"choice": "INCREASE_PRICE", "price_cents": 5000},
    "EditRequest": {"version": 1, "title": "Hang two doors"},
    "GoLive": {"location": {"lat": 37.7749, "lng": -122.4194}, "radius_miles": 5.0},
    "OfferAnswer": {"response": "DECLINE", "decline_reason": "Too far"},
    "ProofRequest": {"code": "730154"},
    "TaskRequest": {
        "mode": "LIVE",
        "title": "Hang a door",
        "description": "It came off its hinges.",
        "category": "handyman",
        "price_cents": 4000,
        "location": {"lat": 37.7755, "lng": -122.418},
    },
    "ReasonRequest": {"reason": "Found help elsewhere"},
}
PREFERRED: Final = ("MATCHING", "ACTIVE", "FUNDED", "OPEN", "SUBMITTED", "PENDING", "ACCEPT")
"""Of an enumeration the state in which our task just waits for a hustler."""


def of(schema: Schema, shapes: Mapping[str, Schema], *, brief: bool = False) -> Any:
    """A value that fits the schema; `brief` leaves out what may be left out, as a body does."""
    return _value(schema, shapes, "", brief=brief)


def _value(schema: Schema, shapes: Mapping[str, Schema], name: str, *, brief: bool) -> Any:
    if "$ref" in schema:
        shape = str(schema["$ref"]).rpartition("/")[2]
        if brief and shape in BODIES:
            return dict(BODIES[shape])
        return _value(shapes[shape], shapes, name, brief=brief)
    if "anyOf" in schema:
        return _of_several(schema["anyOf"], shapes, name, brief=brief)
    match schema.get("type"):
        case "object":
            return _object(schema, shapes, brief=brief)
        case "array":
            items = schema.get("prefixItems") or [schema.get("items", {})]
            return [_value(item, shapes, name.removesuffix("s"), brief=brief) for item in items]
    return _plain(schema, name)


def _of_several(
    several: list[Schema], shapes: Mapping[str, Schema], name: str, *, brief: bool
) -> Any:
    if name in NAMED and NAMED[name] is None and {"type": "null"} in several:
        return None
    first = next(each for each in several if each.get("type") != "null")
    return _value(first, shapes, name, brief=brief)


def _object(schema: Schema, shapes: Mapping[str, Schema], *, brief: bool) -> dict[str, Any]:
    required = schema.get("required", ())
    return {
        name: _value(kind, shapes, name, brief=brief)
        for name, kind in schema.get("properties", {}).items()
        if name in required or not (brief or (name in NAMED and NAMED[name] is None))
    }


def _plain(schema: Schema, name: str) -> Any:
    """A word of several, a text, a number or a yes."""
    kind = schema.get("type")
    wanted = NAMED.get(name)
    if "enum" in schema:
        words = (wanted, *PREFERRED)
        return next((word for word in words if word in schema["enum"]), schema["enum"][0])
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        return wanted if isinstance(wanted, int | float) and low <= wanted <= high else max(low, 1)
    if schema.get("format") == "uuid":
        return ID
    if schema.get("format") == "date-time":
        return TIME
    return wanted if isinstance(wanted, str) else "…"
