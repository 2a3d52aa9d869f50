"""What a command says when it cannot do what it was asked."""

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
    """One sentence for the person at the terminal; the command exits with 1."""


class UsageError(CommandError):
    """The words of the command line mean nothing together; the command exits with 2."""


def in_words(error: OSError) -> str:
    """What the operating system refused, as one sentence without its number."""
    if error.filename is None:
        return f"{error.strerror or error}."
    reason = _IN_WORDS.get(error.errno or 0) or f"cannot be used: {error.strerror}"
    return f"{error.filename} {reason}."
