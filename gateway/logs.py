"""One line per event on standard error (or a file): JSON for machines, text for people."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

from gateway.settings import Log


def configure_logs(log: Log, stream: TextIO | None = None) -> None:
    """Sends structlog's and the standard library's records the same way, from `log.level` up."""
    out = stream or sys.stderr
    level = logging.getLevelNamesMapping()[log.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if log.form == "console"
        else structlog.processors.JSONRenderer()
    )
    exceptions = [] if log.form == "console" else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, *exceptions, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
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
