"""Batches calls: whoever asks within one window shares one call, and gets the own answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """Collects questions and asks them by one call; equal ones are asked once.

    A batch is open until nobody has asked for `window_s`, at most `longest_s` (seconds), and for as
    long as `at_once` calls are under way: so batches grow with the load, and without a window nobody
    waits who is alone. Of more than `size` questions the rest is another batch.

    Whoever opens a batch makes its call; so there is no loop to run, and nothing is left behind.
    """

    def __init__(
        self,
        call: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | Exception]]],
        *,
        size: int,
        window_s: float = 0.0,
        longest_s: float = 0.0,
        at_once: int = 1,
    ) -> None:
        """`call` returns an answer for each question, in their order, or what to raise instead."""
        self._call = call
        self._size = size
        self._window_s = window_s
        self._longest_s = longest_s
        self._turns = asyncio.Semaphore(at_once)
        self._open: _Batch[Question, Answer] | None = None

    async def ask(self, question: Question) -> Answer:
        """Returns the answer of a call that begins after this one; raises as that call does."""
        while True:
            batch, opens = self._open, False
            if batch is None or (len(batch) >= self._size and question not in batch):
                batch, opens = {}, True
                self._open = batch
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            batch.setdefault(question, []).append(answer)
            if opens:
                await self._answer(batch)
            try:
                return await answer
            except _Abandoned:
                continue

    async def _answer(self, batch: _Batch[Question, Answer]) -> None:
        try:
            await self._while_they_come(batch)
            async with self._turns:
                self._close(batch)
                answers = await self._call(list(batch))
            for askers, answer in zip(batch.values(), answers, strict=True):
                _resolve(askers, answer)
        except BaseException as error:
            self._close(batch)
            # A request that is given up takes nobody else's with it: they ask again.
            failure = error if isinstance(error, Exception) else _Abandoned()
            for askers in batch.values():
                _resolve(askers, failure)
            if failure is not error:
                raise

    async def _while_they_come(self, batch: _Batch[Question, Answer]) -> None:
        began, seen = time.monotonic(), 0
        while seen < len(batch) < self._size:
            seen = len(batch)
            await asyncio.sleep(self._window_s)
            if time.monotonic() - began >= self._longest_s:
                return

    def _close(self, batch: _Batch[Question, Answer]) -> None:
        if self._open is batch:
            self._open = None


_Batch = dict[Question, list["asyncio.Future[Answer]"]]
"""The open questions of one call, and who waits for each."""


class _Abandoned(Exception):
    """Raised in those who wait for a call whose maker was cancelled."""


def _resolve(askers: Sequence[asyncio.Future[Answer]], answer: Answer | Exception) -> None:
    for asker in askers:
        if asker.done():
            continue
        if isinstance(answer, Exception):
            asker.set_exception(answer)
            asker.exception()  # read: whoever makes the call and is cancelled reads it no more
        else:
            asker.set_result(answer)
