"""Codes are derived, six digits, and different for each task, kind, generation and key."""

import uuid

import pytest

from engine.kernel.ids import TaskId
from engine.tasks.codes import CodeBook


def test_codes_are_six_digits_and_stable() -> None:
    """The same inputs give the same code; each other input gives another sequence."""
    book, other = CodeBook(b"a" * 32), CodeBook(b"b" * 32)
    tasks = [TaskId(uuid.UUID(int=n)) for n in range(50)]
    codes = [book.code(task, "START", 1) for task in tasks]

    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert codes == [book.code(task, "START", 1) for task in tasks]
    assert codes != [book.code(task, "COMPLETION", 1) for task in tasks]
    assert codes != [book.code(task, "START", 2) for task in tasks]
    assert codes != [other.code(task, "START", 1) for task in tasks]


def test_only_the_code_itself_is_correct() -> None:
    """Neither another code nor odd text passes."""
    book, task = CodeBook(b"a" * 32), TaskId(uuid.UUID(int=7))
    right = book.code(task, "START", 1)

    assert book.is_correct(task, "START", 1, right)
    for wrong in ("", right[:5], right + "0", "１２３４５６", book.code(task, "COMPLETION", 1)):
        assert not book.is_correct(task, "START", 1, wrong)


def test_a_short_key_is_refused() -> None:
    """Below 32 bytes it is no secret."""
    with pytest.raises(ValueError, match="32 bytes"):
        CodeBook(b"short")
