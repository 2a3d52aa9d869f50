"""What is opened for a person is explained to that person."""

from __future__ import annotations

import re

from sql.schema_files import read_schema
from tests.support.paths import ROOT


def test_the_page_names_every_kind() -> None:
    """docs/admin.md says of each kind of item what it means and what to do."""
    page = (ROOT / "docs" / "admin.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[A-Z_]+`(?:, `[A-Z_]+`)*) \|", page, re.MULTILINE)
    opened = {
        kind
        for file in read_schema().present
        for kind in re.findall(r"open_item\(\s*'([A-Z_]+)'", file.text)
    }
    assert len(opened) > 10
    assert opened <= {kind for row in rows for kind in re.findall(r"[A-Z_]+", row)}
