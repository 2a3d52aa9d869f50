"""The absences of a running service, to be called instead of waited for."""

from __future__ import annotations

from uuid import uuid4

from engine.kernel.leases import Lease
from gateway.tracking.absences import Absences
from geo.presence.presence import Presence
from tests.support.service import Service


def absences_of(service: Service, presence: Presence) -> Absences:
    """As one more loop of this process has them."""
    parts = service.parts
    return Absences(
        parts.commands,
        parts.queries,
        presence,
        parts.location_tracker._heartbeats,
        Lease(parts.idempotency._store, f"absences {uuid4()}"),
    )
