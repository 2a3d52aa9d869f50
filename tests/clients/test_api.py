from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from uuid import UUID

import httpx
import pytest

from hustlexp_client import Api, Refused

TASK = UUID(int=9)
ESCROW = {"id": str(UUID(int=1)), "state": "FUNDED", "amount_cents": 4000}


def api(answer: Callable[[httpx.Request], httpx.Response]) -> Api:
    """A client whose network answers as told."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://service")
    return Api(http, "token", rng=Random(0))


async def test_tries_of_one_call_share_their_idempotency_key_and_calls_do_not() -> None:
    """A lost answer never funds twice; a second call is a second wish."""
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadError("cut", request=request)
        if len(keys) == 2:
            return httpx.Response(503, json={"code": "UNAVAILABLE", "retryable": True})
        return httpx.Response(201, json=ESCROW)

    client = api(answer)
    assert (await client.fund(TASK)).state == "FUNDED"
    assert (await client.fund(TASK)).amount_cents == 4000
    assert keys[0] == keys[1] == keys[2] != keys[3]


async def test_a_refusal_is_raised_with_its_code_and_not_repeated() -> None:
    """A documented 409 is an answer."""
    calls: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        problem = {"code": "HX011", "invariant": "TAKEN", "detail": "Another was first."}
        return httpx.Response(409, json=problem)

    with pytest.raises(Refused) as refused:
        await api(answer).accept(TASK)
    assert (refused.value.code, refused.value.status, len(calls)) == ("HX011", 409, 1)


async def test_a_photo_is_uploaded_as_one_file_and_named_in_the_proof() -> None:
    """Tries share their key; the proof says which photos, in order."""
    photo, sent = UUID(int=4), []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        if len(sent) == 1:
            return httpx.Response(503)
        if request.url.path == "/v1/uploads":
            body = {"id": str(photo), "content_type": "image/png", "bytes": 5}
            return httpx.Response(201, json=body)
        proof = {"id": str(UUID(int=5)), "task_id": str(TASK), "state": "SUBMITTED"}
        return httpx.Response(201, json=proof)

    client = api(answer)
    upload = await client.upload(b"photo")
    assert sent[0].headers["Idempotency-Key"] == sent[1].headers["Idempotency-Key"]
    assert b'name="file"' in sent[1].content
    assert b"photo" in sent[1].content
    await client.submit_proof(TASK, photos=[upload.id])
    assert json.loads(sent[2].content) == {"photos": [str(photo)]}
