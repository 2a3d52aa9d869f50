"""Photos over REST: taken in as multipart bodies, shown as the bytes that were kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import ClientDisconnect, Request

from engine.kernel import errors, policy
from engine.kernel.ids import UploadId
from engine.photos.views import UploadView
from gateway.contract import limits
from gateway.contract.problems import Unreadable
from gateway.http import decoding
from gateway.http.decoding import Nothing
from gateway.http.endpoint import BodyReader, DecodedBody, RawResponse, RequestContext
from gateway.http.multipart import MAX_OVERHEAD_BYTES, MEDIA_TYPE, OneFile
from gateway.http.parts import Parts
from gateway.identity.auth import Caller

FIELD: Final = "file"
MEDIA_TYPES: Final = ("image/jpeg", "image/png")


class Uploaded(decoding.Sent, frozen=True):
    """POST /v1/uploads: the file of a multipart body."""

    file: Annotated[bytes, Meta(max_length=policy.PHOTO_BYTES_MAX)]


async def upload(parts: Parts, context: RequestContext[Uploaded, Nothing]) -> UploadView:
    """Upload a photo for a proof or as evidence; unused it is kept for a day."""
    return await parts.uploads.add(context.user_id, context.body.file)


async def show(parts: Parts, context: RequestContext[Nothing, Nothing]) -> RawResponse:
    """A photo, without anything its file told beside the picture."""
    photo = await parts.uploads.show(context.user_id, UploadId(context.path["photo_id"]))
    return RawResponse(
        photo.content,
        photo.content_type,
        {
            "Content-Disposition": "inline",
            "Cache-Control": f"private, max-age={limits.PHOTO_CACHED_S}",
        },
    )


@asynccontextmanager
async def _read_file(
    parts: Parts, caller: Caller, request: Request, _kind: type[Struct]
) -> AsyncIterator[DecodedBody]:
    """Reads the one file of the body; uploads are compared by its bytes, not by the boundary."""
    file = OneFile(request.headers.get("content-type", ""), FIELD, policy.PHOTO_BYTES_MAX)
    if decoding.announced_bytes(request) > policy.PHOTO_BYTES_MAX + MAX_OVERHEAD_BYTES:
        raise errors.refusal("TOO_LARGE")
    with parts.upload_slots.one(caller.user_id):
        try:
            async with asyncio.timeout(limits.UPLOAD_WITHIN_S):
                async for chunk in request.stream():
                    file.feed(chunk)
        except TimeoutError:
            raise Unreadable(408, "The upload took too long.", {"Connection": "close"}) from None
        except ClientDisconnect:
            raise Unreadable(400, "The upload broke off.") from None
        content = file.content()
        identity = FIELD.encode() + b"\n" + sha256(content).digest()
        yield DecodedBody(Uploaded(content), identity)


FILE_BODY: Final = BodyReader(
    MEDIA_TYPE,
    _read_file,
    {
        "type": "object",
        "properties": {
            FIELD: {
                "type": "string",
                "contentMediaType": "application/octet-stream",
                "description": "A JPEG or PNG photo of at most 10 MiB.",
            }
        },
        "required": [FIELD],
    },
)
