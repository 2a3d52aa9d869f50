"""JSON Schema of our types: msgspec's, with RFC 3339 said where a field is a time.

msgspec leaves `format` out for a datetime without a constraint on its zone, and generated clients
would take it for any text. Patterns are told as ECMA-262 writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import inspect

Schema = dict[str, Any]

_WIDE: Final = re.compile(r"\\U0*([0-9a-f]+)")


def components(types: Sequence[Any], ref_template: str) -> tuple[dict[Any, Schema], Schema]:
    """The schema of each type, and the named shapes that they refer to."""
    schemas, shapes = msgspec.json.schema_components(types, ref_template=ref_template)
    for info in inspect.multi_type_info(types):
        for struct in _structs(info):
            properties = shapes[struct.cls.__name__]["properties"]
            for field in struct.fields:
                if any(isinstance(kind, inspect.DateTimeType) for kind in _members(field.type)):
                    _say_time(properties[field.encode_name])
    return dict(zip(types, map(_portable, schemas), strict=True)), _portable(shapes)


def _portable(schema: Any) -> Any:
    """The same with characters beyond 16 bits as every reader of JSON Schema knows them."""
    if isinstance(schema, dict):
        return {
            name: _WIDE.sub(r"\\u{\1}", each)
            if name == "pattern" and isinstance(each, str)
            else _portable(each)
            for name, each in schema.items()
        }
    return [_portable(each) for each in schema] if isinstance(schema, (list, tuple)) else schema


def _structs(info: inspect.Type) -> Iterator[inspect.StructType]:
    """Every struct inside a type, itself included. Our shapes nest, none contains itself."""
    for kind in _members(info):
        if isinstance(kind, inspect.StructType):
            yield kind
            for field in kind.fields:
                yield from _structs(field.type)
        elif isinstance(kind, inspect.CollectionType):
            yield from _structs(kind.item_type)


def _members(info: inspect.Type) -> Sequence[inspect.Type]:
    """The members of a union; any other type alone."""
    return info.types if isinstance(info, inspect.UnionType) else (info,)


def _say_time(schema: Schema) -> None:
    for each in schema.get("anyOf", [schema]):
        if each.get("type") == "string":
            each["format"] = "date-time"
