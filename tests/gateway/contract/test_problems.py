"""One road for errors: catalogue, registry, table and page agree; nothing leaks."""

from __future__ import annotations

import re

import msgspec
import pytest

from engine.kernel import errors
from gateway.contract import close_codes, problems
from sql.database import Database
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "errors.md"
ROW = re.compile(
    r"^\| `(?P<type>/errors/[^`]+)` \| `(?P<code>[^`]+)` \| (?P<invariant>[^|]+) "
    r"\| (?P<status>\d{3}) \| (?P<retryable>yes|no) \| (?P<socket>[^|]+) \| (?P<title>.+) \|$",
    re.MULTILINE,
)


async def test_catalogue_and_registry_are_the_same(database: Database) -> None:
    """The database's error_catalogue holds exactly the registered kinds."""
    rows = await database.rows("error_catalogue")
    catalogue = {
        errors.ErrorKind(row["code"], row["invariant"], row["title"], row["retryable"])
        for row in rows
    }
    assert catalogue == set(errors.REGISTRY.values())


def test_every_kind_has_a_disposition_and_nothing_else_has() -> None:
    """The problems table covers the registry, no more and no less."""
    assert set(problems.TABLE) == set(errors.REGISTRY)


def test_the_page_tells_every_kind_as_it_is() -> None:
    """docs/errors.md has one row per kind with the status and disposition of the code."""
    received = {tuple(row.groups()) for row in ROW.finditer(PAGE.read_text())}
    expected = {
        (
            problems.problem_type(kind),
            kind.code,
            f"`{kind.invariant}`" if kind.invariant else "–",
            str(problems.disposition(kind).status),
            "yes" if kind.retryable else "no",
            f"close {close}" if (close := problems.close_code(kind)) else "ERROR",
            kind.title,
        )
        for kind in errors.REGISTRY.values()
    }
    assert received == expected


def test_types_are_unique() -> None:
    """`type` is an identity: no two kinds share one."""
    types = [problems.problem_type(kind) for kind in errors.REGISTRY.values()]
    assert len(set(types)) == len(types)


@pytest.mark.parametrize("kind", errors.REGISTRY.values(), ids=lambda k: f"{k.code}-{k.invariant}")
def test_a_refusal_says_the_same_on_both_roads(kind: errors.ErrorKind) -> None:
    """Problem document and ERROR frame carry equal facts for every kind."""
    refusal = errors.Refusal(kind, retry_after_s=2.5)
    response = problems.response(refusal, "request-1")
    problem = msgspec.json.decode(response.body)
    frame = msgspec.json.decode(msgspec.json.encode(problems.error_data(refusal)))
    assert response.media_type == "application/problem+json"
    assert response.status_code == problem["status"] == problems.disposition(kind).status
    assert response.headers["retry-after"] == "3"
    assert {"type", "title", "status", "detail", "code", "retryable", "request_id"} <= set(problem)
    assert frame.pop("message") == problem["detail"]
    assert frame == {name: problem[name] for name in frame}
    assert ("invariant" in problem) == (kind.invariant not in ("", "ELIGIBILITY"))


def test_only_internal_error_is_a_500() -> None:
    """Every other kind has a status that tells the client what happened."""
    broken = [key for key, row in problems.TABLE.items() if row.status == 500]
    assert broken == [("INTERNAL_ERROR", "")]


def test_retryable_kinds_say_when() -> None:
    """A client that may retry is told how long to wait."""
    for kind in errors.REGISTRY.values():
        if kind.retryable:
            assert problems.retry_after_s(errors.Refusal(kind)) is not None


def test_eligibility_never_says_why() -> None:
    """A reason given to HX012 stays inside the house."""
    refusal = errors.refusal("HX012", "ELIGIBILITY", "tier 1 is below 3")
    received = bytes(problems.response(refusal, "r").body) + msgspec.json.encode(
        problems.error_data(refusal)
    )
    assert b"tier" not in received
    assert b"ELIGIBILITY" not in received


def test_close_codes_are_declared() -> None:
    """A refusal that closes the socket uses a code of the closing table."""
    declared = {code.code for code in close_codes.ALL}
    assert {row.close for row in problems.TABLE.values() if row.close} <= declared


@pytest.mark.parametrize(
    ("kind", "challenge"),
    [
        (("HX501", "TOKEN-MISSING"), "Bearer"),
        (("HX502", "TOKEN-INVALID"), 'Bearer error="invalid_token"'),
    ],
)
def test_a_401_carries_its_challenge(kind: tuple[str, str], challenge: str) -> None:
    """RFC 9110 asks for WWW-Authenticate with every 401."""
    response = problems.response(errors.refusal(*kind), "r")
    assert response.headers["www-authenticate"] == challenge
