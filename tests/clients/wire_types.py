"""JSON types in words, once from a JSON Schema and once from a msgspec type, to be compared."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import inspect

Schema = dict[str, Any]
NULL = "null"


class Contract:
    """An AsyncAPI document: its messages, and the named shapes that they refer to."""

    def __init__(self, document: Schema) -> None:
        self._messages: Schema = document["components"]["messages"]
        self._shapes: Schema = document["components"]["schemas"]

    def server_messages(self) -> dict[str, dict[str, str]]:
        """Type → field → JSON type, of all that the server may send."""
        return {
            name.removeprefix("server."): self._fields(message["payload"]["properties"]["data"])
            for name, message in self._messages.items()
            if name.startswith("server.")
        }

    def misfit(self, message: Schema) -> str | None:
        """Where a client's message does not fit its schema; None when it does."""
        return self._misfit(self._messages[f"client.{message['type']}"]["payload"], message)

    def _resolved(self, schema: Schema) -> Schema:
        ref = schema.get("$ref")
        return schema if ref is None else self._shapes[ref.rpartition("/")[2]]

    def _fields(self, schema: Schema) -> dict[str, str]:
        shape = self._resolved(schema)
        found = {}
        for name, each in shape["properties"].items():
            kind = self._word(each)
            if name in shape["required"]:
                found[name] = kind
            elif "default" in each:
                found[name] = _optional(kind, each["default"])
            else:  # left out when there is none: for the client the same as null
                members = {self._word(member) for member in each.get("anyOf", [each])}
                found[name] = _optional(_union(members | {NULL}), None)
        return found

    def _word(self, schema: Schema) -> str:
        match self._resolved(schema):
            case {"anyOf": members}:
                return _union(self._word(each) for each in members)
            case {"enum": values}:
                return _enum(values)
            case {"prefixItems": items}:
                return _tuple(self._word(each) for each in items)
            case {"type": "array", "items": item}:
                return f"array of {self._word(item)}"
            case {"properties": _}:
                return _object(self._fields(schema))
            case {"type": kind, **rest}:
                return " ".join(filter(None, [kind, rest.get("format")]))
        raise AssertionError(schema)

    def _misfit(self, schema: Schema, value: Any, where: str = "") -> str | None:
        shape = self._resolved(schema)
        if "anyOf" in shape:
            found = [self._misfit(each, value, where) for each in shape["anyOf"]]
            return None if None in found else f"{where} fits none of {found}"
        if "enum" in shape:
            return None if value in shape["enum"] else f"{where} is {value!r}"
        if "properties" in shape:
            if not isinstance(value, dict):
                return f"{where} is no object"
            wrong = set(value) - set(shape["properties"]) | set(shape["required"]) - set(value)
            inner = (
                self._misfit(shape["properties"][name], each, f"{where}/{name}")
                for name, each in value.items()
                if name not in wrong
            )
            return f"{where}: {wrong}" if wrong else next(filter(None, inner), None)
        return None if _fits(shape, value) else f"{where} is {value!r}"


def client_fields(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Field → JSON type of one of the client's types."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return _client_fields(info)


def _client_fields(info: inspect.StructType) -> dict[str, str]:
    return {
        field.encode_name: _client_word(field.type)
        if field.required
        else _optional(_client_word(field.type), field.default)
        for field in info.fields
    }


def _client_word(info: inspect.Type) -> str:  # one return for each JSON type
    match info:
        case inspect.UnionType(types=members):
            return _union(map(_client_word, members))
        case inspect.LiteralType(values=values):
            return _enum(values)
        case inspect.TupleType(item_types=items):
            return _tuple(map(_client_word, items))
        case inspect.CollectionType(item_type=item):
            return f"array of {_client_word(item)}"
        case inspect.StructType():
            return _object(_client_fields(info))
    return {
        inspect.StrType: "string",
        inspect.IntType: "integer",
        inspect.FloatType: "number",
        inspect.BoolType: "boolean",
        inspect.NoneType: NULL,
        inspect.UUIDType: "string uuid",
        inspect.DateTimeType: "string date-time",
    }[type(info)]


def _optional(kind: str, default: object) -> str:
    return f"{kind} = {json.dumps(default)}"


def _union(members: Iterable[str]) -> str:
    return " | ".join(sorted(members))


def _enum(values: Iterable[Any]) -> str:
    return f"one of {sorted(values)}"


def _tuple(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _object(fields: dict[str, str]) -> str:
    return f"{{{', '.join(f'{name}: {kind}' for name, kind in sorted(fields.items()))}}}"


def _fits(schema: Schema, value: Any) -> bool:
    """Whether a value that is no object is of the type and within the bounds."""
    if schema["type"] == "array":
        return isinstance(value, list) and all(_fits(schema["items"], each) for each in value)
    if schema["type"] == "string":
        size: float = len(value) if isinstance(value, str) else math.nan
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return schema["type"] == "null" and value is None
    else:
        size = value if schema["type"] == "number" or isinstance(value, int) else math.nan
    lowest = next((schema[word] for word in ("minimum", "minLength") if word in schema), -math.inf)
    highest = next((schema[word] for word in ("maximum", "maxLength") if word in schema), math.inf)
    return bool(lowest <= size <= highest)
