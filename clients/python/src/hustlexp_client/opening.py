"""Opens a connection to the service, and maps a failure to open it to the next step."""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from hustlexp_client.reconnect import Step

OPEN_TIMEOUT_S = 10.0
MAX_FRAME_BYTES = 1 << 20
FAILURES = (OSError, TimeoutError, InvalidHandshake)
"""What `open_socket` raises."""


async def open_socket(url: str) -> ClientConnection:
    """Returns an open socket; heartbeats are the session's own, so websockets sends none."""
    return await connect(
        url,
        compression=None,
        ping_interval=None,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=1,
        max_size=MAX_FRAME_BYTES,
        proxy=None,
    )


def after_failure(error: Exception) -> Step:
    """Returns the step after a failed opening: stop where the service refuses caller or path."""
    if isinstance(error, InvalidStatus):
        refused = error.response.status_code in (401, 403, 404)
        return Step.STOP if refused else Step.WAIT
    return Step.BACK_OFF
