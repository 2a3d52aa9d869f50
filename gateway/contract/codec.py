"""Messages of the WebSocket as JSON text: decoded once, strictly; encoded once, whoever receives them.

Envelope `{"type", "id"?, "seq"?, "data"?}` (contract, WebSocket).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from engine.kernel import errors
from gateway.contract import client, encoding, field_errors, server

log = structlog.get_logger(__name__)


def logged(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """The data of a durable event as its type has it, times as datetimes.

    The log keeps JSON of PostgreSQL, which writes times and numbers in forms of its own. What
    another version logged, in a shape that is none of ours, is told as it stands: one such row must
    not keep its user from all that follow.
    """
    shape = server.SERVER_MESSAGES.get(kind, dict[str, Any])
    try:
        logged_data = msgspec.to_builtins(
            msgspec.convert(data, shape), builtin_types=(datetime, UUID)
        )
    except msgspec.ValidationError as misfit:
        log.warning("event_of_another_shape", type=kind, why=str(misfit))
        return data
    assert isinstance(logged_data, dict)
    return logged_data


class Envelope(Struct, frozen=True, omit_defaults=True):
    """The envelope of every server message."""

    type: str
    id: client.Reference | None = None
    seq: int | None = None
    data: Any = None


class _Referenced(Struct, frozen=True):
    id: client.Reference | None = None


_messages: msgspec.json.Decoder[client.ClientMessage] = msgspec.json.Decoder(client.ClientMessage)
_reference = msgspec.json.Decoder(_Referenced)


def parse(raw: str | bytes) -> client.ClientMessage:
    """The message in a frame; VALIDATION_ERROR for anything outside the vocabulary."""
    try:
        return _messages.decode(raw)
    except msgspec.ValidationError:
        raise _misfit(raw) from None
    except (ValueError, RecursionError):
        raise _not_json() from None


def _misfit(raw: str | bytes) -> errors.Refusal:
    """Why a message does not fit: every field that is wrong."""
    try:
        return field_errors.refusal(msgspec.json.decode(raw), client.ClientMessage)
    except RecursionError:
        return errors.invalid_field("", "is nested too deeply")
    except msgspec.ValidationError:
        return errors.invalid_field("", "holds a number that is out of range")
    except ValueError:
        return _not_json()


def _not_json() -> errors.Refusal:
    return errors.refusal("VALIDATION_ERROR", message="The message is not JSON.")


def reference_of(raw: str | bytes) -> client.Reference | None:
    """The `id` of a message that was refused, so that its ERROR can name it."""
    try:
        return _reference.decode(raw).id
    except (ValueError, RecursionError):
        return None


def encode(
    kind: str, data: object = None, *, ref: client.Reference | None = None, seq: int | None = None
) -> bytes:
    """One server message as JSON text in UTF-8."""
    return encoding.encode(Envelope(kind, ref, seq, data))
