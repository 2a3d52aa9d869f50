"""Ends a long-running command: by a signal, or by a part that has finished."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvloop

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Stop request of a command: cancels it, unless a part has set a graceful way to end.

    The same signal once more does not wait for the gentle way: see `at_once`.
    """

    def __init__(self) -> None:
        self.gently: Callable[[], object] = _nothing
        self.at_once: Callable[[], object] = _nothing
        self.asked = False
        self._signals: set[signal.Signals] = set()

    def hear(self, number: signal.Signals) -> None:
        """Handles a signal: the first of its kind asks, and the second ends the command at once.

        By kind, since a city behind `hustlexp dev` gets the terminal's SIGINT and dev's SIGTERM.
        """
        if number in self._signals:
            self.asked = True
            self.at_once()
            return
        self._signals.add(number)
        self.ask()

    def ask(self) -> None:
        """Requests the end of the command, gracefully where a part has set a way."""
        self.asked = True
        self.gently()

    @contextlib.contextmanager
    def by(self, gently: Callable[[], object]) -> Iterator[None]:
        """Sets `gently` as the graceful way to end while the block runs.

        Afterwards all is being closed. Closing is quick and is not cut short: servers that were
        started are ended, too.
        """
        self.gently = gently
        try:
            yield
        finally:
            self.gently = self.at_once = _nothing


def _nothing() -> None:
    """All is being closed already."""


def run(main: Callable[[Stop], Coroutine[Any, Any, int]]) -> int:
    """Runs a command on uvloop until it ends or SIGINT, SIGTERM or SIGHUP ends it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_stoppable(main))


async def _stoppable(main: Callable[[Stop], Coroutine[Any, Any, int]]) -> int:
    loop = asyncio.get_running_loop()
    stop = Stop()
    command = loop.create_task(main(stop))

    def cancel() -> None:
        if not command.cancelling():  # once: what it closes then is not cut short
            command.cancel()

    stop.gently = stop.at_once = cancel
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.hear, number)
    try:
        return await command
    except asyncio.CancelledError:
        if stop.asked:
            return 0
        raise
