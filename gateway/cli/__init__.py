"""The `hustlexp` command line: develops, serves and inspects the service."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points, version
from pkgutil import resolve_name
from typing import Final

import cyclopts

from deploy.failures import EmbeddedError
from gateway.server.cli_errors import CommandError, UsageError, in_words
from gateway.server.logs import last_word
from gateway.settings.loading import SettingsError
from geo.valkey import ValkeyAway
from sql.database import DatabaseAway, DatabaseError, DatabaseUnfit
from sql.schema_files import MigrationError

# Imported only when called: a token should not wait for the import of the whole service.
COMMANDS: Final = {
    "dev": "gateway.cli.dev:dev",
    "serve": "gateway.cli.serve:serve",
    "migrate": "gateway.cli.migrate:migrate",
    "seed": "gateway.cli.seed:seed",
    "token": "gateway.cli.token:token",
    "clock": "gateway.cli.clock:clock",
    "explain-offer": "gateway.cli.explain:explain_offer",
    "reconcile": "gateway.cli.reconcile:reconcile",
    "invariants": "gateway.cli.invariants:invariants",
    "doctor": "gateway.cli.doctor:doctor",
    "config": "gateway.cli.config:config",
}
LOGGING: Final = frozenset({"serve"})
"""Commands whose standard error is a log, to its last line."""
LONG_RUNNING: Final = frozenset({*LOGGING, "dev"})
WRONG_WORDS: Final = (SettingsError, UsageError)
EXPECTED: Final = (
    *WRONG_WORDS,
    CommandError,
    EmbeddedError,
    MigrationError,
    DatabaseAway,
    DatabaseError,
    ValkeyAway,
    OSError,
)
"""What a command may end in without being broken."""
INTERRUPTED: Final = 130
EXIT_CODES: Final = (
    "Exit codes: 0 done (or stopped as asked); 1 not possible, one sentence on standard error "
    "says why; 2 wrong usage or a wrong setting; 130 interrupted before it was done."
)
# Commands whose answer is an exit code say in their help what it means there.
OWN_EXIT_CODES: Final[Mapping[str, str]] = {
    "doctor": (
        "Exit codes: 0 all is right; 1 something is wrong or could not be looked at; 2 wrong usage "
        "or a wrong setting; 130 interrupted before it was done."
    ),
    "reconcile": (
        "Exit codes: 0 the books agree (or were repaired); 1 they differ, or nobody could be asked; "
        "2 wrong usage or a wrong setting; 130 interrupted before it was done."
    ),
}


def app(called: str | None) -> cyclopts.App:
    """Returns the command line's application; None for `called` imports every command.

    Rooms above the gateway add theirs as entry points `hustlexp.commands`. `called` is the command
    that is wanted, so that no other needs to be imported.
    """
    line = cyclopts.App(
        name="hustlexp",
        version=f"hustlexp {version('hustlexp-live')}",
        help="HustleXP Live: a real-time matching engine for a task marketplace.",
        help_epilogue=EXIT_CODES,
        help_format="plaintext",
        default_parameter=cyclopts.Parameter(negative=()),
    )
    added = {entry.name: entry.value for entry in entry_points(group="hustlexp.commands")}
    targets = {**COMMANDS, **added}
    for name, target in targets.items():
        if called == name or called not in targets:
            command = resolve_name(target)
            if name in OWN_EXIT_CODES:
                line.command(command, name=name, help_epilogue=OWN_EXIT_CODES[name])
            else:
                line.command(command, name=name)
    return line


def main(words: Sequence[str] | None = None) -> None:
    """Runs one command and ends the process with its exit code."""
    words = sys.argv[1:] if words is None else words
    called = next(iter(words), None)
    logs = called in LOGGING
    say: Callable[[object], None] = partial(last_word, os.environ) if logs else _say
    if called not in LONG_RUNNING:
        # A connection that is cut short leaves a line of the driver's: no news to a person.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        code = app(called)(
            words, exit_on_error=False, print_error=not logs, result_action="return_value"
        )
    except cyclopts.CycloptsError as error:
        if logs:
            say(error)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except EXPECTED as error:
        say(_sentence(error))
        sys.exit(2 if isinstance(error, WRONG_WORDS) else 1)
    sys.exit(code or 0)


def _sentence(error: Exception) -> object:
    """What went wrong, for a person."""
    match error:
        case DatabaseUnfit():
            return f"PostgreSQL answers, but not as the service needs it: {error}"
        case DatabaseAway():
            return f"PostgreSQL does not answer: {error}"
        case DatabaseError():
            return f"PostgreSQL refuses: {error.message}"
        case ValkeyAway():
            return f"Redis does not answer: {error}"
        case OSError():
            return in_words(error)
        case _:
            return error


def _say(sentence: object) -> None:
    print(f"hustlexp: {sentence}", file=sys.stderr)
