"""`Idempotency-Key`: an answer is kept for 24 hours per user and route, and replayed.

The same key with another request is refused; a duplicate of a request that is still running is told
to retry. A refusal that lies in the request itself is kept like a success; one that time or another
step can cure is not. An owner that died leaves its key behind, which may be taken over after 60 s:
the request then runs a second time, so what it did before dying shows as its natural repetition.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from starlette.responses import Response

from engine.kernel import errors
from engine.kernel.ids import UserId
from engine.kernel.loops import supervise
from engine.kernel.store import Store
from gateway.contract import problems

REPLAYED_HEADER: Final = "Idempotency-Replayed"
MAX_KEY_CHARS: Final = 255
SWEEP_EVERY_S: Final = 60.0
"""How often keys older than a day are deleted."""
SWEEP_ROWS: Final = 1_000
"""Keys deleted by one statement, so that no sweep holds locks for long."""
_LASTING: Final = frozenset({"VALIDATION_ERROR", "TOO_LARGE", "NOT_FOUND"})
"""Refusals that the same request meets again; every other may be cured: work ends, LIVE mode is
switched on, an escrow is funded."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed key: ours until it is answered, released, or 60 s old."""

    user: UserId
    route: str
    key: str
    claimed_at: datetime


class Idempotency:
    """Runs a request once per key, and replays its answer for the same key."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Sweeps once a minute until cancelled."""
        await supervise("idempotency_sweep", self._round)

    async def _round(self) -> None:
        await asyncio.sleep(SWEEP_EVERY_S)
        await self.sweep()

    async def sweep(self) -> None:
        """Deletes every key older than a day."""
        while await self._store.value("sweep_idempotency_keys", SWEEP_ROWS) == SWEEP_ROWS:
            pass

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
        """Returns the answer of `run`, or the one kept under this key.

        Refuses with IDEMPOTENCY_MISMATCH or IDEMPOTENCY_IN_FLIGHT.
        """
        if not 1 <= len(key) <= MAX_KEY_CHARS or not key.isprintable():
            raise errors.refusal(
                "VALIDATION_ERROR",
                message="Idempotency-Key must have 1 to 255 printable characters.",
            )
        digest = sha256(request).digest()
        claimed_at = await self._store.value("claim_idempotency_key", user, route, key, digest)
        if claimed_at is None:
            return await self._earlier(user, route, key, digest)
        return await self._answer(Claim(user, route, key, claimed_at), request_id, run)

    async def _earlier(self, user: UserId, route: str, key: str, digest: bytes) -> Response:
        rows = await self._store.rows("idempotency_key", user, route, key)
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
        """Runs as the key's owner; keeps a lasting answer, releases the key for any other."""
        mine = (claim.user, claim.route, claim.key, claim.claimed_at)
        try:
            response = await run()
        except errors.Refusal as refusal:
            if refusal.kind.code not in _LASTING:
                await self._store.execute("release_idempotency_key", *mine)
                raise
            response = problems.response(refusal, request_id)
        except Exception:
            await self._store.execute("release_idempotency_key", *mine)
            raise
        answer = (response.status_code, bytes(response.body), response.media_type)
        await self._store.execute("answer_idempotency_key", *mine, *answer)
        return response
