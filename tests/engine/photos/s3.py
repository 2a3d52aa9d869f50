"""A small S3-compatible service: one bucket in memory, and what a signed request must look like."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.server.serving import listen, url_of
from gateway.settings.groups import Http

SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/s3/aws4_request, "
    r"SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}"
)


@dataclass
class Fake:
    """What the service keeps, and how it behaves."""

    bucket: str = "proofs"
    key_id: str = "key-id"
    region: str = "here-1"
    url: str = ""
    objects: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: bool = False
    """Answers every request with 500."""

    async def answer(self, request: Request) -> Response:
        """One request; 403 without a signature of our key."""
        self.asked.append(f"{request.method} {request.url.path}")
        if self.broken:
            return Response(status_code=500)
        signed = SIGNED.fullmatch(request.headers.get("authorization", ""))
        if signed is None or (signed["key"], signed["region"]) != (self.key_id, self.region):
            return Response(status_code=403)
        if request.path_params["bucket"] != self.bucket:
            return Response(status_code=404)
        return await self._kept(request, request.path_params["key"])

    async def _kept(self, request: Request, key: str) -> Response:
        """PUT, GET and DELETE of one object."""
        etag = {"ETag": '"1"', "Last-Modified": "Fri, 01 Jan 2027 00:00:00 GMT"}
        if request.method == "PUT":
            kind = request.headers.get("content-type", "")
            self.objects[key] = (kind, await request.body())
            return Response(headers=etag)
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return Response(status_code=204)
        if key not in self.objects:
            return Response(status_code=404)
        kind, content = self.objects[key]
        return Response(content, media_type=kind, headers=etag)


@asynccontextmanager
async def serving() -> AsyncIterator[Fake]:
    """The service on a free port of this machine."""
    fake = Fake()
    methods = ["GET", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/{bucket}/{key:path}", fake.answer, methods=methods)])
    listener = listen(Http(port=0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    fake.url = url_of(listener)
    yield fake
    server.should_exit = True
    await running
