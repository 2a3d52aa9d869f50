"""The one error of this package."""

from __future__ import annotations


class EmbeddedError(Exception):
    """The embedded servers cannot run; the text is one sentence for the person at the terminal."""
