"""Logging: one line per event on standard error or a file, as JSON or text."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TextIO

import structlog

from gateway.settings.groups import LogSettings

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def own_standard_error(log: LogSettings) -> None:
    """Configures logs for a process whose standard error is a log and nothing else.

    As `configure_logs`; Python's warnings and uncaught exceptions become records too, so that every
    line is one.
    """
    configure_logs(log)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = _log_unraisable
    threading.excepthook = _log_of_thread


def last_word(environ: Mapping[str, str], sentence: object) -> None:
    """Writes why a process that logs could not start, or ended: a record, or as text a sentence.

    Works before and without `configure_logs`, since what it tells may be a wrong setting.
    """
    if environ.get("HX_LOG_FORMAT") == "console":
        sys.stderr.write(f"hustlexp: {sentence}\n")
        return
    logger = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[*_SHARED, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    logger.critical("not_possible", reason=str(sentence))


def configure_logs(log: LogSettings, stream: TextIO | None = None) -> None:
    """Sends structlog's and the standard library's records the same way, from `log.level` up."""
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
    exceptions = [] if log.form == "console" else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*_SHARED, *exceptions, renderer],
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
                *exceptions,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    # uvicorn tells of every socket; ours are counted in /metrics.
    logging.getLogger("uvicorn").setLevel(max(level, logging.WARNING))


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
