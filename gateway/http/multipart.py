"""One file in a multipart/form-data body (RFC 7578), read as it arrives and kept in memory.

The one door to python-multipart. No socket and no clock in here: bytes go in, the file comes out.
"""

from __future__ import annotations

from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from engine.kernel import errors
from gateway.contract.problems import Unreadable

MEDIA_TYPE: Final = "multipart/form-data"
MAX_OVERHEAD_BYTES: Final = 16 * 1024
"""What a body may have beside the file: boundaries and the part's headers."""


class OneFile:
    """Parser of a body with exactly one part, of the field's name; ignores its file name.

    Refuses with 415 what is no such body, TOO_LARGE what is larger, else VALIDATION_ERROR.
    """

    def __init__(self, content_type: str, field: str, max_bytes: int) -> None:
        kind, options = parse_options_header(content_type)
        if kind != MEDIA_TYPE.encode():
            raise Unreadable(415, f"The body must be {MEDIA_TYPE}.")
        self._field = field
        self._max_bytes = max_bytes
        self._received_bytes = 0
        self._parts = 0
        self._ended = False
        self._header, self._disposition = b"", b""
        self._value = b""
        self._file = bytearray()
        try:
            self._parser = MultipartParser(
                options.get(b"boundary") or _no_boundary(),
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise self._unfit() from error

    def feed(self, chunk: bytes) -> None:
        """Parses the next bytes of the body."""
        self._received_bytes += len(chunk)
        if self._received_bytes > self._max_bytes + MAX_OVERHEAD_BYTES:
            raise errors.refusal("TOO_LARGE")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise self._unfit() from error

    def content(self) -> bytes:
        """Returns the file; refuses a body that is not complete."""
        if not (self._ended and self._parts == 1):
            raise self._unfit()
        return bytes(self._file)

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise self._unfit()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        kind, options = parse_options_header(self._disposition.decode("latin-1"))
        if kind != b"form-data" or options.get(b"name") != self._field.encode():
            raise self._unfit()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if len(self._file) + end - start > self._max_bytes:
            raise errors.refusal("TOO_LARGE")
        self._file += data[start:end]

    def _end(self) -> None:
        self._ended = True

    def _unfit(self) -> errors.Refusal:
        return errors.refusal(
            "VALIDATION_ERROR",
            message=f"The body must be {MEDIA_TYPE} with one part, named {self._field}.",
            fields=(errors.FieldError(f"/{self._field}", "must be the one part of the body"),),
        )


def _no_boundary() -> bytes:
    raise FormParserError("no boundary")
