"""One REST call as a row of the URL table, and the pipeline of every call.

authenticate → may this role? → rate → decode → idempotency → handler → encode.
The types of body, query and answer are read from the handler's annotations, so that routing,
decoding and OpenAPI can't disagree. How a body is read is the row's `consumes`: JSON if it says nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from types import NoneType, UnionType
from typing import Any, Final, Generic, TypeVar, get_args, get_type_hints
from uuid import UUID

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.kernel import errors
from engine.kernel.ids import UserId
from gateway.contract import encoding, problems
from gateway.http import decoding
from gateway.http.parts import Parts
from gateway.http.streaming import Streaming, Writer
from gateway.identity import security_log
from gateway.identity.auth import ADMINS, Caller, Role
from gateway.identity.rates import Rate
from gateway.identity.revocation import Unauthenticated

JSON = "application/json"

Body = TypeVar("Body", bound=Struct)
Query = TypeVar("Query", bound=Struct)
Id = TypeVar("Id", bound=UUID)


@dataclass(frozen=True, slots=True)
class RequestContext(Generic[Body, Query]):
    """A call's authenticated caller and its decoded input."""

    caller: Caller
    path: Mapping[str, UUID]
    body: Body
    query: Query
    gone: Callable[[], Awaitable[bool]]
    """Whether the caller has hung up."""
    last_event_id: str | None = None
    """`Last-Event-ID`: where an EventSource comes again."""

    @property
    def user_id(self) -> UserId:
        """The caller's user id."""
        return self.caller.user_id

    def id(self, kind: Callable[[UUID], Id]) -> Id:
        """Returns the path's id of that type: a `TaskId` stands there as `task_id`."""
        return kind(self.path[f"{kind.__name__.removesuffix('Id').lower()}_id"])


@dataclass(frozen=True, slots=True)
class Replayed:
    """An answer that the caller had already got: sent with 200 where the first one was a 201."""

    value: Any


@dataclass(frozen=True, slots=True)
class RawResponse:
    """An answer that is not JSON: its bytes, their media type, and headers of its own."""

    content: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """An answer that its writer writes part by part, until it returns or the caller hangs up."""

    write_to: Writer
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecodedBody:
    """A decoded body, and the bytes by which two requests are compared for idempotency."""

    body: Struct
    identity: bytes


Reader = Callable[[Parts, Caller, Request, type[Struct]], AbstractAsyncContextManager[DecodedBody]]
"""Reads a body as the handler's type; what it holds is given back when the call has its answer."""


@dataclass(frozen=True, slots=True)
class BodyReader:
    """The way an endpoint's body is read, and its OpenAPI description."""

    media_type: str
    read: Reader
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the body; None draws it from the handler's type."""


@asynccontextmanager
async def _read_json(
    _parts: Parts, _caller: Caller, request: Request, kind: type[Struct]
) -> AsyncIterator[DecodedBody]:
    raw = b"{}" if request.method in ("GET", "HEAD") else await decoding.read_body(request)
    yield DecodedBody(decoding.decode(raw, kind), raw)


JSON_BODY: Final = BodyReader(JSON, _read_json)

Handler = Callable[[Parts, RequestContext[Any, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Endpoint:
    """One row: method, path, handler, who may call, and what a first success answers."""

    method: str
    path: str
    handler: Handler
    who: frozenset[Role]
    status: int = HTTPStatus.OK
    rate: Rate | None = None
    consumes: BodyReader = JSON_BODY
    produces: tuple[str, ...] = (JSON,)
    """Media types of a success; others than JSON for a handler that answers `RawResponse`."""
    resource: str = ""
    """What OpenAPI lists it under and its operationId begins with; empty: as its module is named."""

    @property
    def name(self) -> str:
        """Method and path, by which the call is known in logs and to `Idempotency-Key`."""
        return f"{self.method} {self.path}"

    @cached_property
    def hints(self) -> Mapping[str, Any]:
        """The handler's resolved annotations."""
        return get_type_hints(self.handler)

    @cached_property
    def body_type(self) -> type[Struct]:
        """The type of the body."""
        return _argument(self.hints["context"], 0)

    @cached_property
    def query_type(self) -> type[Struct]:
        """The type of the query string."""
        return _argument(self.hints["context"], 1)

    @cached_property
    def answer_types(self) -> tuple[type, ...]:
        """The types of a success; none for an empty answer."""
        kinds = _kinds(self.hints["return"])
        bare = (RawResponse, StreamedResponse, Replayed, NoneType)
        return tuple(kind for kind in kinds if kind not in bare)

    @cached_property
    def may_replay(self) -> bool:
        """Whether the status of a replayed answer differs from the first one's."""
        return Replayed in _kinds(self.hints["return"])


def endpoint_routes(endpoints: Sequence[Endpoint], parts: Parts) -> list[Route]:
    """Returns one route for each path, whose 405 names all methods of the path."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [_route(path, by_method, parts) for path, by_method in by_path.items()]


def _route(path: str, by_method: Mapping[str, Endpoint], parts: Parts) -> Route:
    async def handle(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await answer(by_method[method], parts, request)

    return Route(path, handle, methods=list(by_method))


async def answer(endpoint: Endpoint, parts: Parts, request: Request) -> Response:
    """Carries one request through the pipeline; returns its response or raises `Refusal`."""
    caller = await _authenticated(parts, request)
    if caller.role not in endpoint.who:
        security_log.access_refused(user=caller.user_id, role=caller.role, call=endpoint.name)
        raise errors.refusal("HX503", "PERMISSION")
    parts.rates.spend_user(caller.user_id, endpoint.rate)
    if endpoint.who == ADMINS:
        await parts.queries.people.require_admin(caller.user_id)  # as the account is now
    query = decoding.decode_query(request.query_params.multi_items(), endpoint.query_type)
    async with endpoint.consumes.read(parts, caller, request, endpoint.body_type) as decoded:
        context: RequestContext[Any, Any] = RequestContext(
            caller,
            request.path_params,
            decoded.body,
            query,
            request.is_disconnected,
            request.headers.get("last-event-id"),
        )

        async def run() -> Response:
            value = await endpoint.handler(parts, context)
            if endpoint.who == ADMINS and endpoint.method != "GET":
                target = " ".join(map(str, context.path.values()))
                security_log.admin_act(admin=caller.user_id, call=endpoint.name, target=target)
            return _encoded(value, endpoint.status)

        key = request.headers.get("idempotency-key")
        if key is None or endpoint.method not in ("POST", "PUT"):
            return await run()
        return await parts.idempotency.once(
            user=caller.user_id,
            route=endpoint.name,
            key=key,
            request=request.url.path.encode() + b"\n" + decoded.identity,
            request_id=request.state.request_id,
            run=run,
        )


async def _authenticated(parts: Parts, request: Request) -> Caller:
    """Returns the caller; RATE_LIMITED for an address that sends many bad tokens."""
    try:
        return await parts.authenticator.caller(request.headers.get("authorization"))
    except Unauthenticated as refusal:
        address = request.client.host if request.client else "unknown"
        if problems.status_of(refusal) == HTTPStatus.UNAUTHORIZED:
            parts.rates.spend_address(address)
        security_log.auth_failed(reason=refusal.why, channel="rest", address=address)
        raise


def _encoded(value: Any, status: int) -> Response:
    """Returns a handler's value as a response; None becomes 204."""
    if isinstance(value, Replayed):
        value, status = value.value, HTTPStatus.OK
    if value is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    if isinstance(value, RawResponse):
        return Response(
            value.content,
            status_code=status,
            headers=dict(value.headers),
            media_type=value.content_type,
        )
    if isinstance(value, StreamedResponse):
        return Streaming(value.write_to, value.content_type, value.headers)
    return Response(encoding.encode(value), status_code=status, media_type=JSON)


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Returns the members of a union; any other hint alone."""
    return get_args(hint) if isinstance(hint, UnionType) else (hint,)


def _argument(hint: Any, index: int) -> type[Struct]:
    kind = get_args(hint)[index]
    assert isinstance(kind, type)
    assert issubclass(kind, Struct)
    return kind
