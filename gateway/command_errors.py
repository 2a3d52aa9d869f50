"""What a command says when it cannot do what it was asked."""

from __future__ import annotations


class CommandError(Exception):
    """One sentence for the person at the terminal; the command exits with 1."""


class UsageError(CommandError):
    """The words of the command line mean nothing together; the command exits with 2."""
