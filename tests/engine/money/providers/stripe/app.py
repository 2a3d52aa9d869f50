"""The HTTP side of the fake Stripe: form bodies, idempotency keys, error documents, lists."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.engine.money.providers.stripe.chaos import Chaos
from tests.engine.money.providers.stripe.ledger import Ledger, Made, Params, RefusalRecord, missing

API_KEY = "sk_test_fake"
PAGE = 10
UNPROCESSED = {"parameter_missing", "parameter_unknown"}
"""Refusals before anything ran: their key is not used up."""


@dataclass
class Kept:
    """What a key was first used for, and the answer; None while that is being made."""

    request: tuple[str, str, Params]
    answer: Response | None = None


class LostConnection(Response):
    """The effect is there and the answer is not: the connection breaks after the head."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Begin, and never end: the server then cuts the connection."""
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"9")],
            }
        )


class FakeApi:
    """Answers as api.stripe.com does, as far as we use it."""

    def __init__(self, ledger: Ledger, chaos: Chaos) -> None:
        self.ledger = ledger
        self.calls: list[tuple[str, str, str | None]] = []
        """Method, path and idempotency key of every call."""
        self.events_since: list[int] = []
        """From when on events were asked for, in Unix time."""
        self.keys: dict[str, Kept] = {}
        self.refused = ""
        """A path that is answered 400, whatever is asked."""
        self.gate: asyncio.Event | None = None
        """While it is set up and not open, calls with a key wait behind it."""
        self.at_the_gate = asyncio.Event()
        self._chaos = chaos
        self.app = Starlette(
            routes=[Route("/v1/{path:path}", self._serve, methods=["GET", "POST"])]
        )

    def forget_keys(self) -> None:
        """A day passes."""
        self.keys.clear()

    async def _serve(self, request: Request) -> Response:
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        path = request.url.path.removeprefix("/v1")
        self.calls.append((request.method, path, key))
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            return _error(RefusalRecord("Invalid API Key provided", "api_key_invalid", status=401))
        text = request.url.query if request.method == "GET" else (await request.body()).decode()
        params = nested(parse_qsl(text, keep_blank_values=True))
        if self._chaos.happens(self._chaos.dial.error_before):
            return _api_error()
        if key is None:
            return self._lost_or(self._run(request.method, path, params))
        return await self._once(key, (request.method, path, params))

    async def _once(self, key: str, asked: tuple[str, str, Params]) -> Response:
        kept = self.keys.get(key)
        if kept is not None and kept.request != asked:
            return _error(
                RefusalRecord(
                    "Keys for idempotent requests can only be used with the same parameters.",
                    "idempotency_key_reused",
                    kind="idempotency_error",
                )
            )
        if kept is not None and kept.answer is None:
            return _error(
                RefusalRecord(
                    "There is another request in progress with this key.",
                    "idempotency_key_in_use",
                    status=409,
                    kind="idempotency_error",
                )
            )
        if kept is not None and kept.answer is not None:
            answer = kept.answer
            replayed = Response(answer.body, answer.status_code, media_type="application/json")
            replayed.headers["Idempotent-Replayed"] = "true"
            return self._lost_or(replayed)
        kept = self.keys[key] = Kept(asked)
        if self.gate is not None:
            self.at_the_gate.set()
            await self.gate.wait()
        if self._chaos.happens(self._chaos.dial.error_kept):
            kept.answer = _api_error()
        else:
            kept.answer = self._run(*asked)
        return self._lost_or(kept.answer)

    def _run(self, method: str, path: str, params: Params) -> Response:
        if path == self.refused:
            return _error(RefusalRecord("This cannot be done.", "account_unusable"))
        try:
            return JSONResponse(self._handler(method, path)(params))
        except RefusalRecord as refused:
            return _error(refused)
        except KeyError as absent:
            return _error(RefusalRecord(f"Missing required param: {absent}.", "parameter_missing"))

    def _lost_or(self, answer: Response) -> Response:
        return LostConnection() if self._chaos.happens(self._chaos.dial.lost_answer) else answer

    def _handler(self, method: str, path: str) -> Callable[[Params], Any]:
        ledger = self.ledger
        plain: dict[tuple[str, str], Callable[[Params], Any]] = {
            ("POST", "/payment_intents"): ledger.create_payment_intent,
            ("POST", "/refunds"): ledger.create_refund,
            ("POST", "/transfers"): ledger.create_transfer,
            ("POST", "/accounts"): ledger.create_account,
            ("POST", "/account_links"): self._account_link,
            ("GET", "/events"): lambda p: _page("/events", self._events(p), p),
        }
        if (method, path) in plain:
            return plain[method, path]
        kinds = "payment_intents|refunds|transfers|accounts|disputes|charges"
        found = re.fullmatch(rf"/({kinds})(?:/(\w+))?(?:/(\w+))?", path)
        if found is None:
            raise missing("path", path)
        kind, name, deed = found[1].removesuffix("s"), found[2], found[3]
        if method == "GET" and name is None:
            return lambda p: _page(path, _matching(ledger.listed(kind), p), p)
        if method == "GET" and deed is None:
            if kind == "account":
                return lambda _: ledger.account(name)
            return lambda _: ledger.one(kind, name)
        deeds: dict[tuple[str, str | None], Callable[[Params], Any]] = {
            ("payment_intent", "confirm"): lambda p: ledger.confirm(name, p["payment_method"]),
            ("payment_intent", "cancel"): lambda _: ledger.cancel(name),
            ("transfer", "reversals"): lambda p: ledger.reverse(name, p),
        }
        if (kind, deed) not in deeds:
            raise missing("path", path)
        return deeds[kind, deed]

    def _account_link(self, params: Params) -> Made:
        self.ledger.account(params["account"])
        return {
            "object": "account_link",
            "created": 0,
            "expires_at": 300,
            "url": f"https://connect.example/{params['account']}?to={params['return_url']}",
        }

    def _events(self, params: Params) -> list[Made]:
        self.events_since.append(int(params.get("created", {}).get("gte", 0)))
        wanted = set(params.get("types", {}).values())
        events = [e for e in self.ledger.events if not wanted or e["type"] in wanted]
        return _matching(events[::-1], {**params, "types": {}})


def nested(pairs: list[tuple[str, str]]) -> Params:
    """`a[b][c]=d` as {"a": {"b": {"c": "d"}}}."""
    built: Params = {}
    for name, value in pairs:
        steps = re.findall(r"[^\[\]]+", name)
        place = built
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = value
    return built


def _matching(found: list[Made], params: Params) -> list[Made]:
    """The filters that lists know: created[gte], transfer_group, payment_intent."""
    since = int(params.get("created", {}).get("gte", 0))
    equal = [name for name in ("transfer_group", "payment_intent") if name in params]
    return [
        each
        for each in found
        if each["created"] >= since and all(each.get(name) == params[name] for name in equal)
    ]


def _page(path: str, found: list[Made], params: Params) -> Made:
    if "starting_after" in params:
        names = [each["id"] for each in found]
        found = found[names.index(params["starting_after"]) + 1 :]
    limit = int(params.get("limit", PAGE))
    return {
        "object": "list",
        "url": f"/v1{path}",
        "has_more": len(found) > limit,
        "data": found[:limit],
    }


def _api_error() -> Response:
    return _error(RefusalRecord("Something went wrong.", "api_error", status=500, kind="api_error"))


def _error(refused: RefusalRecord) -> Response:
    return JSONResponse(
        {
            "error": {
                "type": refused.kind,
                "code": refused.code,
                "message": refused.message,
            }
        },
        status_code=refused.status,
    )
