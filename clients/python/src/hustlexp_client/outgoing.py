"""The messages a session sends, as JSON text: the client's half of the contract's tables.

A field that is None is left out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

Data = dict[str, Any]
Response = Literal["ACCEPT", "DECLINE", "SKIP"]


def encode(kind: str, data: Data | None = None, reference: str | None = None) -> str:
    """Returns one message in its envelope; the reply repeats `reference` as its `id`."""
    return msgspec.json.encode(_given(type=kind, id=reference, data=data)).decode()


def credentials(token: str, last_seq: int | None) -> Data:
    """Returns the data of AUTH: the token, and the last durable event the client has kept."""
    return _given(token=token, last_seq=last_seq)


def go_live(
    location: tuple[float, float],
    at: datetime,
    radius_miles: float | None,
    categories: list[str] | None,
) -> Data:
    """Returns the data of SUBSCRIBE_LIVE_MODE; `location` is (lat, lng) in degrees."""
    return _given(**moved(location, at), radius_miles=radius_miles, categories=categories)


def moved(location: tuple[float, float], at: datetime) -> Data:
    """Returns the data of UPDATE_LOCATION: a position and when the device measured it."""
    lat, lng = location
    return {"location": {"lat": lat, "lng": lng}, "at": at}


def answer(broadcast_id: UUID, response: Response, decline_reason: str | None) -> Data:
    """Returns the data of RESPOND_TO_BROADCAST."""
    return _given(broadcast_id=broadcast_id, response=response, decline_reason=decline_reason)


def _given(**fields: Any) -> Data:
    return {name: value for name, value in fields.items() if value is not None}
