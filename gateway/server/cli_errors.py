"""Errors that end a command with a message and an exit code."""

from __future__ import annotations

import errno
from typing import Final

_IN_WORDS: Final = {
    errno.EACCES: "may not be read or written by this user",
    errno.EEXIST: "exists already and is no folder",
    errno.EISDIR: "is a folder, and a file is needed",
    errno.ENOENT: "does not exist",
    errno.ENOSPC: "cannot be written: the disk is full",
    errno.ENOTDIR: "is out of reach: a part of that path is a file, not a directory",
    errno.EROFS: "cannot be written: the disk is read-only",
}


class CommandError(Exception):
    """A command cannot be carried out; one sentence for the terminal, exit code 1."""


class UsageError(CommandError):
    """The arguments of the command line contradict each other; exit code 2."""


def in_words(error: OSError) -> str:
    """Returns the message of an operating system's error, as one sentence without its number."""
    if error.filename is None:
        return f"{error.strerror or error}."
    reason = _IN_WORDS.get(error.errno or 0) or f"cannot be used: {error.strerror}"
    return f"{error.filename} {reason}."
