"""`hustlexp config`: every setting, its value, and where that came from."""

from __future__ import annotations

import json as json_text
import os

from gateway.settings.groups import Settings
from gateway.settings.loading import catalogue, markdown


def config(*, json: bool = False, markdown_table: bool = False) -> int:
    """Print every setting with its value and origin; secrets stay hidden.

    Args:
        json: Print a list of {"name", "value", "origin", "unit", "meaning"}.
        markdown_table: Print the table of docs/configuration.md.
    """
    if markdown_table:
        print(markdown(catalogue(Settings)), end="")
        return 0
    settings = Settings.load(os.environ)
    rows = [
        {
            "name": item.name,
            "value": item.shown(item.value_in(settings)),
            "origin": "environment" if os.environ.get(item.name) else "default",
            "unit": item.unit,
            "meaning": item.meaning,
        }
        for item in catalogue(Settings)
    ]
    if json:
        print(json_text.dumps(rows, indent=2))
        return 0
    for row in rows:
        value = f"{row['value']} {row['unit']}".strip()
        print(f"{row['name']:28} {value:24} {row['origin']:12} {row['meaning']}")
    return 0
