"""The handshake of a WebSocket, refused with a problem document."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from uuid import uuid4

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader, InvalidUpgrade
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import StatusLike

from gateway.contract import problems

NO_HANDSHAKE: Final = problems.Unreadable(HTTPStatus.BAD_REQUEST, "This is no WebSocket handshake.")


class Handshake(ServerProtocol):
    """The library's handshake, refused with a problem document."""

    def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
        """Refuses another version of the protocol with 426 (RFC 6455 §4.4)."""
        try:
            return super().process_request(request)
        except InvalidHeader as error:
            if error.name == "Sec-WebSocket-Version":
                raise InvalidUpgrade(error.name, error.value) from error
            raise

    def reject(self, status: StatusLike, text: str) -> Response:
        """Returns the problem document of a status."""
        del text  # the library's own words
        status = HTTPStatus(status)
        refusal = problems.Unreadable(status, NO_HANDSHAKE.message)
        if status == HTTPStatus.UPGRADE_REQUIRED:
            refusal = problems.upgrade_required()
            del refusal.headers["Upgrade"]  # the library writes it
            refusal.headers["Connection"] = "close, Upgrade"
        else:
            refusal.headers["Connection"] = "close"
        response = problems.response(refusal, uuid4().hex)
        headers = Headers((name.decode(), value.decode()) for name, value in response.raw_headers)
        return Response(status.value, status.phrase, headers, bytes(response.body))
