"""`hustlexp`: one command line for developing, serving and looking inside."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points, version
from pkgutil import resolve_name
from typing import Final

import cyclopts

from deploy.failures import EmbeddedError
from gateway.command_errors import CommandError, UsageError, in_words
from gateway.settings import SettingsError
from geo.valkey import ValkeyAway
from sql.database import DatabaseAway, DatabaseError
from sql.migrate import MigrationError

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
    """The command line; rooms above the gateway add theirs as entry points `hustlexp.commands`.

    `called` is the command that is wanted, so that no other needs to be imported; None loads all.
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
    try:
        code = app(next(iter(words), None))(
            words, exit_on_error=False, result_action="return_value"
        )
    except cyclopts.CycloptsError:
        sys.exit(2)
    except (SettingsError, UsageError) as error:
        _say(error)
        sys.exit(2)
    except (CommandError, EmbeddedError, MigrationError) as error:
        _say(error)
        sys.exit(1)
    except DatabaseAway as error:
        _say(f"PostgreSQL does not answer: {error}")
        sys.exit(1)
    except DatabaseError as error:
        _say(f"PostgreSQL refuses: {error.message}")
        sys.exit(1)
    except ValkeyAway as error:
        _say(f"Redis does not answer: {error}")
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        _say(in_words(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(code or 0)


def _say(sentence: object) -> None:
    print(f"hustlexp: {sentence}", file=sys.stderr)
