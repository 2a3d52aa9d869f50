"""Everything that is wrong with a value that does not fit its type, each place by JSON pointer.

msgspec stops at the first fault; this walk is taken only once a value was refused, so what fits
costs nothing. Details are sentences for people: of the field's `description`, else of its bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeGuard, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, UnsetType, inspect

from engine.kernel import errors
from engine.kernel.errors import FieldError
from gateway.contract.fields import FieldRefused

MAX_REPORTED: Final = 50
"""Faults of one request that are told."""


def refusal(value: object, kind: Any, *, strict: bool = True) -> errors.Refusal:
    """VALIDATION_ERROR for a value (as JSON gives it) that is not of this type.

    >>> refusal({"lat": 91}, Point).fields
    (FieldError('/lat', 'must be a number from -90 to 90'), FieldError('/lng', 'is missing'))
    """
    found = tuple(islice(_Walk(strict=strict).value(value, kind, ""), MAX_REPORTED))
    return errors.invalid(*found) if found else errors.invalid_field("", "is not valid")


class _Walk:
    """Yields every fault below a place; `strict` as in `msgspec.convert`."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict

    def value(self, value: object, kind: Any, at: str) -> Iterator[FieldError]:
        refused = self._refused(value, kind)
        if refused is None:
            return
        members = tuple(_members(kind))
        struct = _struct_for(value, members)
        if struct is not None and isinstance(value, dict):
            yield from self._struct(value, struct, at, refused)
        elif isinstance(value, list) and (item := _item_of(members)) is not None:
            inner = [
                fault
                for n, each in enumerate(value)
                for fault in self.value(each, item, f"{at}/{n}")
            ]
            yield from inner or [FieldError(at, f"must be {_said(kind)}")]
        elif isinstance(value, dict) and (tags := _tags(members)):
            tag_field, names = tags
            detail = (
                "is missing" if tag_field not in value else f"must be one of {', '.join(names)}"
            )
            yield FieldError(f"{at}/{tag_field}", detail)
        else:
            yield FieldError(at, f"must be {_said(kind)}")

    def _struct(
        self, value: Mapping[str, object], struct: type[Struct], at: str, refused: Exception
    ) -> Iterator[FieldError]:
        fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        config = struct.__struct_config__
        clean = True
        for name in value.keys() - fields.keys() - {config.tag_field}:
            if config.forbid_unknown_fields:
                clean = False
                yield FieldError(below(at, name), "is not known here")
        for name, field in fields.items():
            faults = (
                self.value(value[name], field.type, below(at, name))
                if name in value
                else [FieldError(below(at, name), "is missing")] * field.required
            )
            for fault in faults:
                clean = False
                yield fault
        if clean:
            # each field fits alone: what they say together does not
            cause = refused.__cause__
            if isinstance(cause, FieldRefused):
                yield FieldError(below(at, cause.name), cause.detail)
            else:
                yield FieldError(at, "is not valid")

    def _refused(self, value: object, kind: Any) -> Exception | None:
        try:
            msgspec.convert(value, kind, strict=self._strict)
        except (ValueError, RecursionError) as refused:
            return refused
        return None


def below(at: str, name: str) -> str:
    """The pointer to a field of the object at a pointer. RFC 6901: `~` and `/` inside a name are escaped."""
    return f"{at}/{name.replace('~', '~0').replace('/', '~1')}"


def _members(kind: Any) -> Iterator[Any]:
    """The types that a union admits, without null and absence; any other type alone."""
    if get_origin(kind) in (Union, UnionType):
        for each in get_args(kind):
            yield from _members(each)
    elif kind not in (type(None), UnsetType):
        yield kind


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_struct(kind: Any) -> TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _struct_for(value: object, members: tuple[Any, ...]) -> type[Struct] | None:
    """The one struct among the members, or the one whose tag an object carries."""
    structs = [kind for each in members if _is_struct(kind := _bare(each))]
    if len(structs) == 1:
        return structs[0]
    for struct in structs:
        config = struct.__struct_config__
        if isinstance(value, dict) and value.get(config.tag_field) == config.tag:
            return struct
    return None


def _tags(members: tuple[Any, ...]) -> tuple[str, list[str]] | None:
    """The field that tells the members apart, and its values."""
    configs = [kind.__struct_config__ for each in members if _is_struct(kind := _bare(each))]
    if len(configs) < 2 or configs[0].tag_field is None:
        return None
    return configs[0].tag_field, [str(config.tag) for config in configs]


def _item_of(members: tuple[Any, ...]) -> Any:
    """What a list among the members holds."""
    for each in members:
        bare = _bare(each)
        if get_origin(bare) is list:
            return get_args(bare)[0]
    return None


def _said(kind: Any) -> str:
    """What a value must be: `six digits`, `a whole number from 1 to 4, or null`."""
    said = list(dict.fromkeys(map(_said_one, _members(kind))))
    if type(None) in get_args(kind):
        said.append("null")
    return ", or ".join(said)


def _said_one(kind: Any) -> str:
    for meta in get_args(kind)[1:] if get_origin(kind) is Annotated else ():
        if isinstance(meta, Meta) and meta.description:
            return meta.description
    bare = _bare(kind)
    if get_origin(bare) is Literal:
        return "one of " + ", ".join(map(str, get_args(bare)))
    return _of_type(inspect.type_info(kind))


def _of_type(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(type=inner):
            return _of_type(inner)
        case inspect.IntType() | inspect.FloatType():
            number = "a whole number" if isinstance(info, inspect.IntType) else "a number"
            return f"{number} from {_number(info.ge)} to {_number(info.le)}"
        case inspect.StrType(min_length=low, max_length=high):
            return f"a text of {low or 0:,} to {high:,} characters"
        case inspect.ListType(max_length=high):
            return f"a list of at most {high:,}"
        case _:
            return _PLAIN.get(type(info), "of another type")


def _number(bound: float | None) -> str:
    return f"{bound:,.0f}" if bound is not None and bound == int(bound) else f"{bound}"


_PLAIN: Final[Mapping[type[inspect.Type], str]] = {
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a time with its offset (RFC 3339)",
    inspect.UUIDType: "a UUID",
    inspect.StructType: "an object",
}
