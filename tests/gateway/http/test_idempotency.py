"""A key makes a request happen once: twins, mismatches, dead owners, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest
from starlette.responses import Response

from engine.kernel import errors
from engine.kernel.ids import UserId
from engine.kernel.store import Store
from gateway.http.idempotency import Idempotency
from sql.database import Database
from tests.support.rest import People

ROUTE = "POST /v1/tasks"


class Work:
    """A request that counts how often it ran and may be held up."""

    def __init__(self) -> None:
        self.ran = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.error: Exception | None = None

    async def __call__(self) -> Response:
        """Answers with the number of this run."""
        self.ran += 1
        number = self.ran
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return Response(b'{"run":%d}' % number, status_code=201, media_type="application/json")


@pytest.fixture
def idempotency(store: Store) -> Idempotency:
    """Keys in the worker's database."""
    return Idempotency(store)


RequestContext = Callable[..., Coroutine[Any, Any, Response]]


@pytest.fixture
def ask(idempotency: Idempotency) -> RequestContext:
    """One user's request under the key `k`."""
    user = UserId(uuid4())

    async def asked(run: Work, request: bytes = b"{}", route: str = ROUTE) -> Response:
        return await idempotency.once(
            user=user, route=route, key="k", request=request, request_id="r", run=run
        )

    return asked


async def refused(answer: Awaitable[Response]) -> str:
    """The code of the refusal."""
    with pytest.raises(errors.Refusal) as caught:
        await answer
    return caught.value.kind.code


async def test_a_repetition_gets_the_first_answer(ask: RequestContext) -> None:
    """Status, body and type are repeated, marked as such; the work ran once."""
    work = Work()
    first, again = await ask(work), await ask(work)
    assert (again.status_code, again.body, again.media_type) == (201, first.body, first.media_type)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert work.ran == 1


async def test_twenty_twins_at_once_run_once(ask: RequestContext) -> None:
    """One works, the others are told to come back, and then they get its answer."""
    work = Work()
    work.go_on.clear()
    twins = [asyncio.create_task(ask(work)) for _ in range(20)]
    done, waiting = await asyncio.wait(twins, timeout=1, return_when="ALL_COMPLETED")
    assert (len(done), len(waiting), work.ran) == (19, 1, 1)
    for twin in done:
        assert isinstance(twin.exception(), errors.Refusal)
        assert await refused(twin) == "IDEMPOTENCY_IN_FLIGHT"
    work.go_on.set()
    first = await waiting.pop()
    assert (await ask(work)).body == first.body


async def test_another_body_under_the_same_key_is_refused(ask: RequestContext) -> None:
    """IDEMPOTENCY_MISMATCH, while the first is running and after."""
    work = Work()
    work.go_on.clear()
    running = asyncio.create_task(ask(work))
    await asyncio.sleep(0.1)
    assert await refused(ask(work, b'{"other":1}')) == "IDEMPOTENCY_MISMATCH"
    work.go_on.set()
    await running
    assert await refused(ask(work, b'{"other":1}')) == "IDEMPOTENCY_MISMATCH"
    assert work.ran == 1


async def test_keys_belong_to_one_user_and_route(
    ask: RequestContext, idempotency: Idempotency
) -> None:
    """The same key on another route or by another user is another key."""
    work = Work()
    await ask(work)
    await ask(work, route="POST /v1/live")
    await idempotency.once(
        user=UserId(uuid4()), route=ROUTE, key="k", request=b"{}", request_id="r", run=work
    )
    assert work.ran == 3


@pytest.mark.parametrize(
    ("code", "status"), [("VALIDATION_ERROR", 422), ("TOO_LARGE", 413), ("NOT_FOUND", 404)]
)
async def test_a_lasting_refusal_is_remembered(ask: RequestContext, code: str, status: int) -> None:
    """What lies in the request itself is answered from memory, problem document and all."""
    work = Work()
    work.error = errors.refusal(code)
    first, again = await ask(work), await ask(work)
    assert (again.status_code, again.body) == (status, first.body)
    assert again.media_type == "application/problem+json"
    assert work.ran == 1


@pytest.mark.parametrize(
    "error",
    [
        errors.refusal("HX017", "LOCK"),
        errors.refusal("HX904", "LIVE-TOGGLE"),
        errors.refusal("HX014", "BUSY"),
        errors.refusal("HX903", "LIVE-3"),
        errors.refusal("HX016", "FUNDED"),
        errors.refusal("HX010", "TRANSITION"),
        errors.refusal("HX021", "LOCATION"),
        errors.refusal("HX015", "LIVE-5"),
        errors.refusal("UNAVAILABLE"),
        ZeroDivisionError("a bug"),
    ],
    ids=str,
)
async def test_what_waiting_or_a_repair_can_cure_is_not_remembered(
    ask: RequestContext, error: Exception
) -> None:
    """The key is given back, so that the next try is a real one."""
    work = Work()
    work.error = error
    with pytest.raises(type(error)):
        await ask(work)
    work.error = None
    assert (await ask(work)).status_code == 201


async def test_a_dead_owners_key_is_taken_over_after_a_minute(
    ask: RequestContext, owner_execute: Any
) -> None:
    """Not before; and the owner that was only slow cannot overwrite the new answer."""
    slow, quick = Work(), Work()
    slow.go_on.clear()
    quick.ran = 10
    running = asyncio.create_task(ask(slow))
    await asyncio.sleep(0.1)
    assert await refused(ask(quick)) == "IDEMPOTENCY_IN_FLIGHT"
    await _age(owner_execute, "61 seconds")
    assert await refused(ask(quick, b"other")) == "IDEMPOTENCY_MISMATCH"
    taken_over = await ask(quick)
    slow.go_on.set()
    await running
    assert (await ask(quick)).body == taken_over.body == b'{"run":11}'


async def test_a_day_later_the_key_is_new(ask: RequestContext, owner_execute: Any) -> None:
    """Answers are remembered for 24 hours, whatever the request is then."""
    work = Work()
    await ask(work)
    await _age(owner_execute, "23 hours 59 minutes")
    await ask(work)
    assert work.ran == 1
    await _age(owner_execute, "2 minutes")
    await ask(work, b"another request")
    assert work.ran == 2


async def test_a_sweep_leaves_no_old_key(
    idempotency: Idempotency, database: Database, ask: RequestContext, owner_execute: Any
) -> None:
    """However many a busy day has left; the others stay."""
    user = uuid4()
    await owner_execute(
        "insert into idempotency_keys (user_id, route, key, request_hash, created_at)"
        " select $1, 'old', n::text, '', hx_clock() - interval '25 hours'"
        " from generate_series(1, 2500) as n",
        user,
    )
    work = Work()
    await ask(work)
    await idempotency.sweep()
    for key in ("1", "2500"):
        assert not await database.rows("idempotency_key", user, "old", key)
    await ask(work)
    assert work.ran == 1


async def test_a_key_that_another_writer_holds_is_told_as_busy(
    hasty_store: Store, owner_holds: Any
) -> None:
    """HX017, which a client repeats; not a defect of ours."""
    user = UserId(uuid4())

    async def ask() -> Response:
        return await Idempotency(hasty_store).once(
            user=user, route=ROUTE, key="k", request=b"", request_id="r", run=Work()
        )

    await ask()
    async with owner_holds(f"delete from idempotency_keys where user_id = '{user}'"):
        assert await refused(ask()) == "HX017"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb"])
async def test_an_unusable_key_is_refused(idempotency: Idempotency, key: str) -> None:
    """VALIDATION_ERROR for what is empty, too long or unprintable."""
    answer = idempotency.once(
        user=UserId(uuid4()), route=ROUTE, key=key, request=b"", request_id="r", run=Work()
    )
    assert await refused(answer) == "VALIDATION_ERROR"


async def test_two_posts_with_one_key_make_one_task(people: People) -> None:
    """Over the wire: one task, and a key that cannot be turned to another task's path."""
    poster = await people.person("poster")
    body = {
        "mode": "STANDARD", "title": "t", "description": "d", "category": "moving",
        "price_cents": 900, "location": {"lat": 1, "lng": 1},
    }  # fmt: skip
    key = {"Idempotency-Key": "abc"}
    first = await poster.call("POST", "/v1/tasks", body, key)
    again = await poster.call("POST", "/v1/tasks", body, key)
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert len((await poster.good("GET", "/v1/tasks?role=poster"))["items"]) == 1
    other = await poster.call("POST", "/v1/tasks", body | {"title": "u"}, key)
    assert other.refusal() == (422, "IDEMPOTENCY_MISMATCH", None)
    second = (await poster.call("POST", "/v1/tasks", body)).body
    for task, status in ((first.body, 200), (second, 422)):
        cancelled = await poster.call("POST", f"/v1/tasks/{task['id']}/cancel", {}, key)
        assert cancelled.status == status


async def _age(execute: Any, interval: str) -> None:
    """Let every key of this database be older."""
    await execute(f"update idempotency_keys set created_at = created_at - interval '{interval}'")
