from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from engine.kernel import errors
from gateway.contract.problems import status_of
from gateway.http.multipart import MAX_OVERHEAD_BYTES, OneFile

TYPE = "multipart/form-data; boundary=edge"


def part(content: bytes, name: str = "file", more: str = '; filename="a.jpg"') -> bytes:
    """One part of a body."""
    head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    """A whole body."""
    return b"".join(parts) + b"--edge--\r\n"


def read(
    sent: bytes, content_type: str = TYPE, *, pieces: int = 1 << 20, max_bytes: int = 100
) -> bytes:
    """The file of a body that arrives in pieces."""
    file = OneFile(content_type, "file", max_bytes)
    for start in range(0, len(sent), pieces):
        file.feed(sent[start : start + pieces])
    return file.content()


def refused(call: Callable[[], object]) -> tuple[int, str]:
    """Status and code of a refusal."""
    with pytest.raises(errors.Refusal) as caught:
        call()
    return status_of(caught.value), caught.value.kind.code


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("content", [b"", b"x", b"\r\n--edg", b"--edge", b"\x00\xff\r\n\r\n" * 9])
def test_the_file_is_whole_however_it_arrives(content: bytes, pieces: int) -> None:
    """Byte by byte or at once, with half a boundary inside."""
    assert read(body(part(content)), pieces=pieces) == content


def test_a_file_needs_no_name_of_its_own() -> None:
    """What the sender's disk calls it is not asked."""
    assert read(body(part(b"x", more=""))) == b"x"
    assert read(body(part(b"x", more='; filename="../../etc/passwd"'))) == b"x"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"x",
        b"--edge--\r\n",
        body(part(b"x", name="photo")),
        body(part(b"x"), part(b"y")),
        body(part(b"x"), part(b"y", name="note", more="")),
        body(part(b"x"))[:-8],
        b"--other\r\n\r\nx\r\n--other--\r\n",
        b"--edge\r\n\r\nx\r\n--edge--\r\n",
        b'--edge\r\nContent-Disposition: attachment; name="file"\r\n\r\nx\r\n--edge--\r\n',
        b"--edge\r\n" + b"a: b\r\n" * 99 + b"\r\nx\r\n--edge--\r\n",
        b"--edge\r\nbad header\r\n\r\nx\r\n--edge--\r\n",
    ],
)
def test_anything_but_one_file_is_refused(sent: bytes) -> None:
    """No part, two, one of another name, a body that ends early: 422."""
    for pieces in (1, 1_000):
        assert refused(lambda pieces=pieces: read(sent, pieces=pieces)) == (  # type: ignore[misc]
            422,
            "VALIDATION_ERROR",
        )


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("application/json", 415),
        ("multipart/mixed; boundary=edge", 415),
        ("multipart/form-data", 422),
        ("multipart/form-data; boundary=" + "x" * 300, 422),
    ],
)
def test_another_kind_of_body_is_refused_before_it_is_read(content_type: str, status: int) -> None:
    """415, or 422 without a usable boundary."""
    assert refused(lambda: OneFile(content_type, "file", 100))[0] == status


def test_the_limit_is_kept_while_reading() -> None:
    """The file to the byte, and what surrounds it to 16 KiB; nothing is kept beyond."""
    assert read(body(part(b"x" * 100))) == b"x" * 100
    assert refused(lambda: read(body(part(b"x" * 101)))) == (413, "TOO_LARGE")
    padding = b"\r\n" * MAX_OVERHEAD_BYTES

    def padded(pieces: Sequence[bytes]) -> None:
        file = OneFile(TYPE, "file", 100)
        for piece in pieces:
            file.feed(piece)

    assert refused(lambda: padded([body(part(b"x")), padding])) == (413, "TOO_LARGE")


def test_a_second_part_is_refused_as_soon_as_it_begins() -> None:
    """Nobody waits for the rest of a body that is refused anyway."""
    file = OneFile(TYPE, "file", 100)
    file.feed(part(b"x"))
    begins = b"--edge\r\nContent-Disposition: form-data"
    assert refused(lambda: file.feed(begins)) == (422, "VALIDATION_ERROR")
