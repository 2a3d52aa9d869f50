"""Logging: one line per event on standard error or a file, as JSON or text."""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TextIO

import structlog

from gateway.server.redaction import Redactor, secrets_in
from gateway.settings.groups import LogSettings

_CONTROLS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def own_standard_error(log: LogSettings, secrets: Iterable[str] = ()) -> None:
    """Configures logs for a process whose standard error is a log and nothing else.

    As `configure_logs`; Python's warnings and uncaught exceptions become records too, so that every
    line is one.
    """
    configure_logs(log, secrets=secrets)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_of_thread


def last_word(environ: Mapping[str, str], sentence: object) -> None:
    """Writes why a process that logs could not start, or ended: a record, or as text a sentence.

    Works before and without `configure_logs`, since what it tells may be a wrong setting.
    """
    redact = Redactor(secrets_in(environ))
    if environ.get("HX_LOG_FORMAT") == "console":
        sys.stderr.write(f"hustlexp: {redact.text(str(sentence))}\n")
        return
    logger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[*_SHARED, redact, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    logger.critical("not_possible", reason=str(sentence))


def configure_logs(
    log: LogSettings, stream: TextIO | None = None, secrets: Iterable[str] = ()
) -> None:
    """Sends structlog's and the standard library's records the same way, from `log.level` up.

    Whatever looks like a secret or a position is left out of them, and all of `secrets`.
    """
    out = stream or sys.stderr
    level = logging.getLevelNamesMapping()[log.level.upper()]
    renderer: structlog.typing.Processor = (
        # a plain traceback: one with the locals of each frame takes half a second and tells secrets
        structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if log.form == "console"
        else structlog.processors.JSONRenderer()
    )
    last: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        Redactor(secrets),
        *([_on_one_line] if log.form == "console" else []),
        renderer,
    ]
    structlog.configure(
        processors=[*_SHARED, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    # uvicorn tells of every socket; ours are counted in /metrics.
    logging.getLogger("uvicorn").setLevel(max(level, logging.WARNING))


def _on_one_line(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escapes control characters, so that no caller writes a line of the log, but for tracebacks."""
    return {
        name: _CONTROLS.sub(lambda found: repr(found[0])[1:-1], value)
        if isinstance(value, str) and name not in ("exception", "stack")
        else value
        for name, value in event.items()
    }


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Logs an uncaught exception that ends the process, with its traceback."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    structlog.get_logger(__name__).critical("crashed", exc_info=(kind, error, traceback))


def _log_unraisable(found: sys.UnraisableHookArgs) -> None:
    """Logs an exception in a destructor or a callback of the interpreter."""
    structlog.get_logger(__name__).error(
        "ignored",
        where=repr(found.object),
        exc_info=(found.exc_type, found.exc_value, found.exc_traceback),
    )


def _log_of_thread(found: threading.ExceptHookArgs) -> None:
    """Logs an uncaught exception that ended a thread."""
    structlog.get_logger(__name__).error(
        "thread_failed", exc_info=(found.exc_type, found.exc_value, found.exc_traceback)
    )
