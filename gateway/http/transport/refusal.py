"""The answer to a request that does not reach the application."""

from __future__ import annotations

from uuid import uuid4

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.contract import problems
from gateway.http.middleware import REQUEST_ID_HEADER, SECURITY_HEADERS


def refusal(status: int, detail: str, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Returns a whole answer as bytes: a problem document with these header fields, then close."""
    request_id = uuid4().hex
    response: Response = problems.response(problems.Unreadable(status, detail), request_id)
    for name, value in {**SECURITY_HEADERS, REQUEST_ID_HEADER: request_id}.items():
        response.headers.setdefault(name, value)
    response.headers["Connection"] = "close"
    lines = [b"%b: %b\r\n" % field for field in (*headers, *response.raw_headers)]
    return b"".join([STATUS_LINE[status], *lines, b"\r\n", bytes(response.body)])
