"""Holds JSON against the types that describe it: times, whole numbers and fractions in one form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from msgspec import inspect

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
LIKE_A_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")

Faults = Iterator[str]


def faults(value: Any, info: inspect.Type, at: str) -> Faults:
    """Every place where a value has another form than its type. The decoder tells 3 from 3.0."""
    check = _BY_TYPE.get(type(info), _free)
    return check(value, info, at)


def may_be(value: Any, info: inspect.Type) -> bool:
    """Whether a member of a union can be meant by a value."""
    if isinstance(info, inspect.NoneType):
        return value is None
    if isinstance(info, inspect.StructType):
        needed = {field.encode_name for field in info.fields if field.required}
        return isinstance(value, dict) and needed <= value.keys()
    return value is not None


def _of_union(value: Any, info: Any, at: str) -> Faults:
    fitting = [kind for kind in info.types if may_be(value, kind)]
    return faults(value, fitting[0], at) if fitting else iter([f"{at}: {value!r}"])


def _of_struct(value: Any, info: Any, at: str) -> Faults:
    shown = {field.encode_name: field for field in info.fields}
    for name, each in value.items():
        if name in shown:
            yield from faults(each, shown[name].type, f"{at}.{name}")
        else:
            yield f"{at}.{name}: undescribed"


def _of_list(value: Any, info: Any, at: str) -> Faults:
    for each in value:
        yield from faults(each, info.item_type, f"{at}[]")


def _of_tuple(value: Any, info: Any, at: str) -> Faults:
    for each, item in zip(value, info.item_types, strict=True):
        yield from faults(each, item, f"{at}[]")


def _of_time(value: Any, _: Any, at: str) -> Faults:
    if not (isinstance(value, str) and TIME.fullmatch(value)):
        yield f"{at}: {value!r} is no time of the wire"


def _of_float(value: Any, _: Any, at: str) -> Faults:
    if type(value) is not float:
        yield f"{at}: {value!r} has no point"


def _of_int(value: Any, _: Any, at: str) -> Faults:
    if type(value) is not int:
        yield f"{at}: {value!r} is not whole"


def _free(value: Any, info: Any, at: str) -> Faults:
    """Facts without a type of their own: still no other form of time."""
    if isinstance(value, str) and LIKE_A_TIME.search(value) and not TIME.fullmatch(value):
        yield f"{at}: {value!r} is no time of the wire"
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _free(each, info, f"{at}.{name}")
    if isinstance(value, list):
        for each in value:
            yield from _free(each, info, f"{at}[]")


_BY_TYPE: Final[Mapping[type, Callable[[Any, Any, str], Faults]]] = {
    inspect.Metadata: lambda value, info, at: faults(value, info.type, at),
    inspect.UnionType: _of_union,
    inspect.StructType: _of_struct,
    inspect.ListType: _of_list,
    inspect.TupleType: _of_tuple,
    inspect.DateTimeType: _of_time,
    inspect.FloatType: _of_float,
    inspect.IntType: _of_int,
}
