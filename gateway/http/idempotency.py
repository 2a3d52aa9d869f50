"""`Idempotency-Key`: an answer is remembered for 24 hours per user and route (contract).

The same key with another request is refused; a twin of a request that is still running is told to
come back. A refusal that would be the same again is remembered like a success; one that waiting
can cure is not. An owner that died leaves its key behind, which may be taken over after 60 s: the
request then runs a second time, so what it did before dying shows as its natural repetition.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from starlette.responses import Response

from engine import errors
from engine.ids import UserId
from gateway import problems
from sql.database import Database

REPLAYED_HEADER: Final = "Idempotency-Replayed"
MAX_KEY_CHARS: Final = 255
SWEEP_EVERY_S: Final = 60.0
"""Keys older than a day are deleted at most this often, a thousand at a time."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that is ours until it is answered, given back, or 60 s old."""

    user: UserId
    route: str
    key: str
    claimed_at: datetime


class Idempotency:
    """Runs a request once per key."""

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._swept_at = monotonic()

    async def once(
        self,
        *,
        user: UserId,
        route: str,
        key: str,
        request: bytes,
        request_id: str,
        run: Callable[[], Awaitable[Response]],
    ) -> Response:
        """The answer of `run`, or the one it gave under this key before.

        Refuses with IDEMPOTENCY_MISMATCH or IDEMPOTENCY_IN_FLIGHT.
        """
        if not 1 <= len(key) <= MAX_KEY_CHARS or not key.isprintable():
            raise errors.refusal(
                "VALIDATION_ERROR",
                message="Idempotency-Key must have 1 to 255 printable characters.",
            )
        digest = sha256(request).digest()
        claimed_at = await self._database.value("claim_idempotency_key", user, route, key, digest)
        if claimed_at is None:
            return await self._earlier(user, route, key, digest)
        await self._sweep()
        return await self._answer(Claim(user, route, key, claimed_at), request_id, run)

    async def _earlier(self, user: UserId, route: str, key: str, digest: bytes) -> Response:
        rows = await self._database.rows("idempotency_key", user, route, key)
        if not rows:
            # its owner has just given it back
            raise errors.refusal("IDEMPOTENCY_IN_FLIGHT")
        row = rows[0]
        if row["request_hash"] != digest:
            raise errors.refusal("IDEMPOTENCY_MISMATCH")
        if row["state"] == "IN_FLIGHT":
            raise errors.refusal("IDEMPOTENCY_IN_FLIGHT")
        return Response(
            row["body"],
            status_code=row["status"],
            media_type=row["content_type"],
            headers={REPLAYED_HEADER: "true"},
        )

    async def _answer(
        self, claim: Claim, request_id: str, run: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Run as the key's owner; keep a lasting answer, give the key back for any other."""
        mine = (claim.user, claim.route, claim.key, claim.claimed_at)
        try:
            response = await run()
        except errors.Refusal as refusal:
            if not _lasting(refusal):
                await self._database.execute("release_idempotency_key", *mine)
                raise
            response = problems.response(refusal, request_id)
        except Exception:
            await self._database.execute("release_idempotency_key", *mine)
            raise
        answer = (response.status_code, bytes(response.body), response.media_type)
        await self._database.execute("answer_idempotency_key", *mine, *answer)
        return response

    async def _sweep(self) -> None:
        if self._monotonic() - self._swept_at >= SWEEP_EVERY_S:
            self._swept_at = self._monotonic()
            await self._database.execute("sweep_idempotency_keys")


def _lasting(refusal: errors.Refusal) -> bool:
    """Whether asking again would give the same refusal: not after a wait, not after a repair."""
    status = problems.status_of(refusal)
    return not refusal.kind.retryable and status < 500 and status != 429
