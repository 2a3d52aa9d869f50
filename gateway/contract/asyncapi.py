"""AsyncAPI 3.0, generated from the messages of the vocabulary."""

from __future__ import annotations

import inspect
from typing import Any, Final, get_args

from msgspec import Struct

from gateway.contract import close_codes, limits, schemas
from gateway.contract.client import ClientMessage, Reference
from gateway.contract.server import DURABLE, SERVER_MESSAGES

REF: Final = "#/components/schemas/{name}"

Schema = dict[str, Any]


def document(version: str) -> Schema:
    """The whole description as a JSON-ready dict."""
    client = {kind.__struct_config__.tag: kind for kind in get_args(ClientMessage)}
    types: list[Any] = [Reference, *client.values(), *SERVER_MESSAGES.values()]
    schema_of, components = schemas.components(types, REF)
    spoken = {
        f"client.{name}": _message(str(name), kind, schema_of[kind])
        for name, kind in client.items()
    } | {
        f"server.{name}": _message(
            name, data, _envelope(name, schema_of[data], schema_of[Reference])
        )
        for name, data in SERVER_MESSAGES.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "HustleXP Live: WebSocket",
            "version": version,
            "description": _description(),
        },
        "defaultContentType": "application/json",
        "channels": {
            "session": {
                "address": "/ws",
                "description": "One session: AUTH, replay, WELCOME, then messages both ways.",
                "messages": {
                    name: {"$ref": f"#/components/messages/{name}"} for name in sorted(spoken)
                },
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "receive": _operation("receive", [name for name in spoken if name[0] == "c"]),
            "send": _operation("send", [name for name in spoken if name[0] == "s"]),
        },
        "components": {"messages": spoken, "schemas": components},
    }


def _description() -> str:
    closes = "\n".join(
        f"- {code.code} {code.name}: {code.meaning} {code.action.value}" for code in close_codes.ALL
    )
    return (
        "Envelope: `type`, the client's own `id` which a reply repeats, `seq` of a durable event, "
        f"`data`. A client says something at least every {limits.HEARTBEAT_S:g} s.\n\n"
        f"Close codes:\n{closes}"
    )


def _message(name: str, kind: type[Struct], payload: Schema) -> Schema:
    summary = (inspect.getdoc(kind) or "").partition("\n")[0]
    return {"name": name, "title": name, "summary": summary, "payload": payload}


def _envelope(name: str, data: Schema, reference: Schema) -> Schema:
    """The server's envelope around one kind of data."""
    properties: Schema = {"type": {"const": name}, "data": data, "id": reference}
    if name in DURABLE:
        properties["seq"] = {"type": "integer", "minimum": 1}
    return {"type": "object", "properties": properties, "required": ["type", "data"]}


def _operation(action: str, names: list[str]) -> Schema:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/session"},
        "messages": [{"$ref": f"#/channels/session/messages/{name}"} for name in sorted(names)],
    }
