"""Classifies SQLSTATEs: which say that the server, or this session of it, cannot serve now.

Every class of the standard and of PostgreSQL falls to one of three sides:

- *away*, here: the statement met no fault of its own, and the connection is not to be used again;
- *refused*, `engine/kernel/db_errors.py`: a rule of ours, input that the database turned down, or a lock,
  deadlock or time-out after which nothing was done;
- *a defect of ours*, all the rest: syntax, missing objects and privileges, internal errors.
"""

from __future__ import annotations

from typing import Final

AWAY_CLASSES: Final = frozenset(
    {
        "08",  # the connection broke; poolers put their own troubles here
        # The session is not as we left it. Our statements open no transaction, so a failed or a
        # read-only one, or the end of one that idled, is another's.
        "25",
        "26",  # a prepared statement is gone: a pooler gave this connection another server session
        "28",  # the login is not let in any more: a password changed, a rule of pg_hba.conf
        "53",  # no disk, no memory, no connection left
        "57",  # starting, stopping, ended by an administrator
        "58",  # the server's own disk or system failed
        "F0",  # its configuration cannot be read
    }
)
AWAY_STATES: Final = frozenset(
    {
        "3D000",  # no such database, as a pooler says while it is being reconfigured
        "40003",  # whether the transaction was committed is unknown
        "42P05",  # a prepared statement of this name is another's: as class 26
    }
)
# One statement was cancelled or timed out: nothing was done and the session is usable.
CANCELLED: Final = "57014"
# States that every other connection of the pool will meet too.
STALE_STATES: Final = frozenset({"25006", "57P01", "57P02", "57P03", "26000", "42P05"})
# The session has ended, whatever the SQLSTATE.
ENDED: Final = frozenset({"FATAL", "PANIC"})


def is_away(sqlstate: str, severity: str = "ERROR") -> bool:
    """Returns whether this says that the server, or this session of it, cannot serve now.

    >>> is_away("25006"), is_away("57014"), is_away("23505"), is_away("42501", "FATAL")
    (True, False, False, True)
    """
    if severity in ENDED or sqlstate in AWAY_STATES:
        return True
    return sqlstate[:2] in AWAY_CLASSES and sqlstate != CANCELLED
