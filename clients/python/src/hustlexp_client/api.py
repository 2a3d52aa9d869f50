"""The REST half of the contract: one typed method per call, with safe retries.

Every POST and PUT carries an `Idempotency-Key` that its retries share, so a lost answer never does
a thing twice. Retried: lost connections, 503, 429 and problems marked retryable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import msgspec
from msgspec import Struct

from hustlexp_client import decoding
from hustlexp_client.messages import LiveState, Message
from hustlexp_client.reconnect import Step, delay_s
from hustlexp_client.refused import NoAnswer, Refused
from hustlexp_client.tasks import Escrow, HeldTask, Offer, Place, Proposal

MAX_TRIES = 6

T = TypeVar("T")


class Choice(Struct, frozen=True):
    """The result of a broadcast choice: the (successor) task and its escrow."""

    task: HeldTask
    escrow: Escrow | None = None


class Upload(Struct, frozen=True):
    """An accepted photo, to be named in a proof."""

    id: UUID
    content_type: str
    bytes: int


class Proof(Struct, frozen=True):
    """Submitted evidence of the work."""

    id: UUID
    task_id: UUID
    state: str


class Me(Struct, frozen=True):
    """The caller's account."""

    id: UUID
    role: str
    trust_tier: int
    total_xp: int
    live: LiveState | None = None


class _Problem(Struct, frozen=True):
    """The part of an RFC 9457 problem document that a program may rely on."""

    code: str = "INTERNAL_ERROR"
    title: str = ""
    detail: str = ""
    invariant: str | None = None
    retryable: bool = False


class _Offers(Struct, frozen=True):
    items: list[Offer]


class _Tasks(Struct, frozen=True):
    items: list[HeldTask]
    next_cursor: str | None


class _Event(Struct, frozen=True):
    seq: int
    type: str
    data: msgspec.Raw


class _Events(Struct, frozen=True):
    last_seq: int
    events: list[_Event] = []


class Api:
    """One user's REST calls over a shared `httpx.AsyncClient` (which carries the base URL).

    Every method raises `Refused` for a documented error and `NoAnswer` when all tries were lost.
    """

    def __init__(self, http: httpx.AsyncClient, token: str, *, rng: Random | None = None) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}
        self._rng = rng or Random()

    async def create_task(
        self,
        *,
        title: str,
        description: str,
        category: str,
        price_cents: int,
        location: Place,
        mode: str = "LIVE",
        **more: Any,
    ) -> HeldTask:
        """POST /v1/tasks; a LIVE task is created with all three confirmations given."""
        body: dict[str, Any] = {
            "mode": mode,
            "title": title,
            "description": description,
            "category": category,
            "price_cents": price_cents,
            "location": {"lat": location.lat, "lng": location.lng},
            **more,
        }
        if location.address is not None:
            body["location"]["address"] = location.address
        if mode == "LIVE":
            names = ("can_respond", "accessible_now", "price_final")
            body.setdefault("live_confirmations", dict.fromkeys(names, True))
        return await self._call("POST", "/v1/tasks", HeldTask, body)

    async def task(self, task_id: UUID) -> HeldTask:
        """GET /v1/tasks/{id}: the task in this user's view."""
        return await self._call("GET", f"/v1/tasks/{task_id}", HeldTask)

    async def fund(self, task_id: UUID) -> Escrow:
        """POST …/fund: holds the money; a LIVE task's broadcast starts."""
        return await self._call("POST", f"/v1/tasks/{task_id}/fund", Escrow, {})

    async def accept(self, task_id: UUID, version: int | None = None) -> HeldTask:
        """POST …/accept: the first hustler wins; HX011 when taken, HX015 when over."""
        body = {} if version is None else {"version": version}
        return await self._call("POST", f"/v1/tasks/{task_id}/accept", HeldTask, body)

    async def arrived(self, task_id: UUID) -> HeldTask:
        """POST …/arrived: the hustler is at the task's location."""
        return await self._call("POST", f"/v1/tasks/{task_id}/arrived", HeldTask, {})

    async def start(self, task_id: UUID, code: str) -> HeldTask:
        """POST …/start with the poster's start code."""
        return await self._call("POST", f"/v1/tasks/{task_id}/start", HeldTask, {"code": code})

    async def release(self, task_id: UUID, reason: str | None = None) -> HeldTask:
        """POST …/release: the hustler gives the task back."""
        return await self._call(
            "POST", f"/v1/tasks/{task_id}/release", HeldTask, {"reason": reason} if reason else {}
        )

    async def upload(self, photo: bytes) -> Upload:
        """POST /v1/uploads: a JPEG or PNG of at most 10 MiB, for a proof or as evidence."""
        return await self._call("POST", "/v1/uploads", Upload, file=photo)

    async def submit_proof(
        self, task_id: UUID, code: str | None = None, *, photos: Sequence[UUID] = ()
    ) -> Proof:
        """POST …/proofs: photos, the completion code, or nothing where no proof is required."""
        body: dict[str, Any] = {} if code is None else {"code": code}
        if photos:
            body["photos"] = [str(photo) for photo in photos]
        return await self._call("POST", f"/v1/tasks/{task_id}/proofs", Proof, body)

    async def approve(self, task_id: UUID) -> HeldTask:
        """POST …/approve: the poster accepts the work; the escrow is paid out."""
        return await self._call("POST", f"/v1/tasks/{task_id}/approve", HeldTask, {})

    async def reject(self, task_id: UUID, reason: str) -> HeldTask:
        """POST …/reject: the proof is rejected; the third rejection opens a dispute."""
        return await self._call("POST", f"/v1/tasks/{task_id}/reject", HeldTask, {"reason": reason})

    async def dispute(self, task_id: UUID, reason: str) -> HeldTask:
        """POST …/dispute: the money is locked until an admin has decided."""
        return await self._call(
            "POST", f"/v1/tasks/{task_id}/dispute", HeldTask, {"reason": reason}
        )

    async def propose_price(self, task_id: UUID, price_cents: int) -> Proposal:
        """POST …/price-proposals: another price for an accepted task, before the start code."""
        body = {"price_cents": price_cents}
        return await self._call("POST", f"/v1/tasks/{task_id}/price-proposals", Proposal, body)

    async def agree_to_price(self, task_id: UUID, proposal_id: UUID) -> Proposal:
        """POST …/accept: agrees to the other side's price; the poster then pays the replacement."""
        path = f"/v1/tasks/{task_id}/price-proposals/{proposal_id}/accept"
        return await self._call("POST", path, Proposal, {})

    async def decline_price(self, task_id: UUID, proposal_id: UUID) -> Proposal:
        """POST …/decline: declines the other side's price, or withdraws one's own."""
        path = f"/v1/tasks/{task_id}/price-proposals/{proposal_id}/decline"
        return await self._call("POST", path, Proposal, {})

    async def cancel(self, task_id: UUID, reason: str | None = None) -> HeldTask:
        """POST …/cancel: full refund, where still allowed."""
        return await self._call(
            "POST", f"/v1/tasks/{task_id}/cancel", HeldTask, {"reason": reason} if reason else {}
        )

    async def choose(self, task_id: UUID, choice: str, price_cents: int | None = None) -> Choice:
        """POST …/broadcast-choice: SWITCH_TO_STANDARD, INCREASE_PRICE or CANCEL."""
        body: dict[str, Any] = {"choice": choice}
        if price_cents is not None:
            body["price_cents"] = price_cents
        return await self._call("POST", f"/v1/tasks/{task_id}/broadcast-choice", Choice, body)

    async def offers(self) -> list[Offer]:
        """GET /v1/offers: the hustler's open offers."""
        return (await self._call("GET", "/v1/offers", _Offers)).items

    async def tasks(self, role: str) -> list[HeldTask]:
        """GET /v1/tasks: all of the caller's own, as poster or as hustler, newest first."""
        found: list[HeldTask] = []
        path, cursor = f"/v1/tasks?role={role}&limit=50", ""
        while True:
            page = await self._call("GET", path + cursor, _Tasks)
            found += page.items
            if page.next_cursor is None:
                return found
            cursor = f"&cursor={page.next_cursor}"

    async def events(self, after: int = 0) -> list[Message]:
        """GET /v1/events: the caller's durable events since `after`."""
        found: list[Message] = []
        while True:
            page = await self._call("GET", f"/v1/events?after={after}", _Events)
            found += [decoding.event(e.type, e.data, e.seq) for e in page.events]
            if not page.events:
                return found
            after = page.last_seq

    async def me(self) -> Me:
        """GET /v1/me."""
        return await self._call("GET", "/v1/me", Me)

    async def _call(
        self,
        method: str,
        path: str,
        answer: type[T],
        body: dict[str, Any] | None = None,
        *,
        file: bytes | None = None,
    ) -> T:
        files = None if file is None else {"file": file}
        headers = dict(self._headers)
        if method in ("POST", "PUT"):
            headers["Idempotency-Key"] = str(uuid4())
        last: Exception | None = None
        for attempt in range(MAX_TRIES):
            try:
                response = await self._http.request(
                    method, path, json=body, files=files, headers=headers
                )
            except httpx.TransportError as error:
                last, wait_s = error, None
            else:
                if response.is_success:
                    return msgspec.json.decode(response.content, type=answer)
                refused = _refused(response)
                if not refused.retryable:
                    raise refused
                last, wait_s = refused, refused.retry_after_s
            if attempt + 1 < MAX_TRIES:
                jitter_s = delay_s(Step.BACK_OFF, attempt, self._rng)
                await asyncio.sleep(max(wait_s or 0.0, jitter_s))
        if isinstance(last, Refused):
            raise last
        raise NoAnswer(f"{method} {path}: no answer after {MAX_TRIES} tries") from last


def _refused(response: httpx.Response) -> Refused:
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem(title=response.reason_phrase)
    after = response.headers.get("Retry-After", "")
    return Refused(
        problem.code,
        problem.detail or problem.title,
        invariant=problem.invariant,
        retryable=problem.retryable or response.status_code in (429, 503),
        retry_after_s=float(after) if after.replace(".", "", 1).isdigit() else None,
        status=response.status_code,
    )
