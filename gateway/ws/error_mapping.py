"""Maps any exception to the refusal that a client gets."""

from __future__ import annotations

import structlog

from engine.kernel import errors
from engine.kernel.errors import Refusal
from geo.valkey import ValkeyAway
from sql.database import DatabaseAway

log = structlog.get_logger(__name__)


def refusal_for(error: Exception) -> Refusal:
    """Returns a refusal unchanged, UNAVAILABLE for a lost server, else INTERNAL_ERROR."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, (DatabaseAway, ValkeyAway)):
        return errors.refusal("UNAVAILABLE")
    log.error("request_failed", exc_info=error)
    return errors.refusal("INTERNAL_ERROR")
