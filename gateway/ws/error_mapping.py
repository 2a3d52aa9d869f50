"""What a client is told of anything that went wrong."""

from __future__ import annotations

import structlog

from engine.kernel import errors
from engine.kernel.errors import Refusal
from geo.valkey import ValkeyAway
from sql.database import DatabaseAway

log = structlog.get_logger(__name__)


def refusal_for(error: Exception) -> Refusal:
    """A refusal as it is, a server that is away as UNAVAILABLE; the rest is a defect of ours."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, (DatabaseAway, ValkeyAway)):
        return errors.refusal("UNAVAILABLE")
    log.error("request_failed", exc_info=error)
    return errors.refusal("INTERNAL_ERROR")
