"""The errors of a statement, translated from the driver's: refused, away, or unfit."""

from __future__ import annotations

from typing import Final

import asyncpg

from sql.session import Session
from sql.sqlstates import is_away

# The socket broke, our own time-out ran out, or the driver finds the connection unusable.
DRIVER_FAILURES: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    TimeoutError,
)


# A value that the driver cannot write for the server: too large, or no Unicode.
_NO_SUCH_VALUE: Final = (OverflowError, UnicodeEncodeError)
_OUT_OF_RANGE: Final = "22003"
_STATEMENT_LOST: Final = (
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
)


class DatabaseError(Exception):
    """PostgreSQL refused: `sqlstate` and `constraint` name the rule, `detail` has its figures."""

    def __init__(self, sqlstate: str, constraint: str, message: str, detail: str = "") -> None:
        super().__init__(f"{sqlstate} {constraint}: {message}")
        self.sqlstate = sqlstate
        self.constraint = constraint
        self.message = message
        self.detail = detail


class DatabaseAway(Exception):
    """PostgreSQL does not answer now; whether the statement took effect is unknown."""


class DatabaseUnfit(DatabaseAway):
    """PostgreSQL answers, but its sessions break the rules; the message says what to do."""


def translated(error: Exception) -> Exception:
    """Returns the driver's error for a statement as a DatabaseError or a DatabaseAway."""
    if not isinstance(error, asyncpg.PostgresError):
        reason = error.strerror if isinstance(error, OSError) else None
        return DatabaseAway(reason or f"{type(error).__name__}: {error}")
    if isinstance(error, _STATEMENT_LOST):
        return no_statements()
    state = _OUT_OF_RANGE if isinstance(error.__cause__, _NO_SUCH_VALUE) else error.sqlstate or ""
    if is_away(state, getattr(error, "severity_en", None) or ""):
        return DatabaseAway(f"{state}: {error}")
    return DatabaseError(
        state,
        getattr(error, "constraint_name", None) or "",
        str(error),
        getattr(error, "detail", None) or "",
    )


def no_statements() -> DatabaseUnfit:
    """Returns the error for a pooler that loses a connection's prepared statements."""
    return DatabaseUnfit(
        "the pooler in front of it keeps no prepared statements: set "
        "HX_POSTGRES_STATEMENT_CACHE=0, or use PgBouncer 1.21 or later with "
        "max_prepared_statements"
    )


def unreachable(error: Exception) -> DatabaseAway:
    """Returns the driver's error while connecting as a DatabaseAway, whatever its reason."""
    if isinstance(error, asyncpg.InsufficientPrivilegeError | asyncpg.InvalidParameterValueError):
        return DatabaseUnfit(
            f"{error}. The login of HX_POSTGRES_DSN must be a member of hx_app: run `hustlexp "
            "migrate` with HX_POSTGRES_OWNER_DSN and HX_POSTGRES_DSN, or `grant hx_app to` that "
            "login."
        )
    if isinstance(error, _STATEMENT_LOST):
        return no_statements()
    if isinstance(error, ValueError):
        return DatabaseAway(f"its DSN cannot be read ({error})")
    reason = error.strerror if isinstance(error, OSError) else None
    return DatabaseAway(reason or str(error) or type(error).__name__)


def unfit(session: Session) -> DatabaseUnfit:
    """Returns the error for a session with complaints; its message says what to do."""
    return DatabaseUnfit(f"{'; '.join(session.complaints)} ({session.route}). {session.remedy}")
