"""The error of this package."""

from __future__ import annotations


class EmbeddedError(Exception):
    """Raised when the embedded servers cannot run; its text is one sentence for the operator."""
