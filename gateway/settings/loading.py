"""Declares settings, reads them from a mapping of names to texts (the environment), lists them.

A setting is a field of a dataclass made by `setting`; a field without one is a group of settings.
An unknown `HX_` name is an error, so a misspelled setting never passes in silence.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

PREFIX = "HX_"

Group = TypeVar("Group")


class SettingsError(Exception):
    """A setting is unknown, missing or means nothing; the text names it and what it expects."""


def setting(
    name: str,
    default: object,
    meaning: str,
    parse: Callable[[str], object] = str,
    *,
    unit: str = "",
    secret: bool = False,
) -> Any:
    """Returns a dataclass field that is read from the text of this name.

    The value of a secret is never shown.
    """
    metadata = {"name": name, "meaning": meaning, "parse": parse, "unit": unit, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


def load(group: type[Group], environ: Mapping[str, str]) -> Group:
    """Returns the group with what `environ` sets; raises SettingsError for a bad setting.

    An empty text counts as unset.
    """
    texts = {name: text for name, text in environ.items() if name.startswith(PREFIX) and text}
    known = [item.name for item in catalogue(group)]
    for name in sorted(texts):
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise SettingsError(
                f"{name} is no setting of this version"
                + (f"; did you mean {near[0]}?" if near else ".")
                + " `hustlexp config` lists them all."
            )
    return _built(group, texts)


def _built(group: type[Group], texts: Mapping[str, str]) -> Group:
    values: dict[str, object] = {}
    for member in dataclasses.fields(cast("type[Any]", group)):
        if not member.metadata:
            values[member.name] = _built(type(member.default), texts)
        elif member.metadata["name"] in texts:
            values[member.name] = _parsed(member.metadata, texts[member.metadata["name"]])
    return group(**values)


def _parsed(metadata: Mapping[str, Any], text: str) -> object:
    try:
        return metadata["parse"](text)
    except ValueError as error:
        shown = "its value" if metadata["secret"] else repr(text)
        raise SettingsError(f"{metadata['name']}: {shown} does not fit: {error}.") from error


@dataclass(frozen=True, slots=True)
class Item:
    """One setting in the catalogue: its name, type and meaning."""

    name: str
    path: tuple[str, ...]
    default: object
    unit: str
    meaning: str
    secret: bool

    def value_in(self, settings: object) -> object:
        """Returns its value in these settings."""
        value = settings
        for step in self.path:
            value = getattr(value, step)
        return value

    def shown(self, value: object) -> str:
        """Returns the value as text for a reader; of a secret only whether it is set."""
        if value in ("", (), None):
            return "unset"
        if self.secret:
            return "set (hidden)"
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def catalogue(group: type[Any], path: tuple[str, ...] = ()) -> list[Item]:
    """Returns the settings of a group and its groups, in the order of declaration."""
    items: list[Item] = []
    for member in dataclasses.fields(group):
        here = (*path, member.name)
        if not member.metadata:
            items += catalogue(type(member.default), here)
            continue
        about = member.metadata
        items.append(
            Item(
                about["name"], here, member.default, about["unit"], about["meaning"],
                about["secret"],
            )
        )  # fmt: skip
    return items


def markdown(items: Iterable[Item]) -> str:
    """Returns a Markdown table of settings, as in `docs/configuration.md`."""
    lines = ["| Setting | Default | Unit | Meaning |", "|---|---|---|---|"]
    for item in items:
        default = item.shown(item.default)
        lines.append(f"| `{item.name}` | `{default}` | {item.unit or '–'} | {item.meaning} |")
    return "\n".join(lines) + "\n"
