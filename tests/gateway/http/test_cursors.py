from __future__ import annotations

from typing import Any

import pytest

from engine.kernel import errors
from gateway.http.cursors import Cursors


def test_a_cursor_is_for_its_owner_and_unchanged(cursor_end: Any, users: tuple[Any, Any]) -> None:
    """A cursor opens for the user it was signed for, and not when a bit of it was changed."""
    cursors, (ann, bob) = Cursors(b"k" * 32), users
    signed = cursors.sign(ann, cursor_end)
    assert cursors.open(ann, signed) == cursor_end
    changed = signed[:-2] + ("AA" if signed[-2:] != "AA" else "BB")
    for user, cursor in ((bob, signed), (ann, changed), (ann, "x"), (ann, "A" * 60)):
        with pytest.raises(errors.Refusal):
            cursors.open(user, cursor)
    with pytest.raises(errors.Refusal):
        Cursors(b"other" * 8).open(ann, signed)
