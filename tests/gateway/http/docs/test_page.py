"""The page at /docs: its examples, its vendored viewer, and how it looks to a browser."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import httpx
import msgspec
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, async_playwright, expect

from gateway.contract.problems import PROBLEM_JSON, Problem
from gateway.http.docs import openapi, viewer
from gateway.http.endpoint import JSON, Endpoint
from gateway.server.routes import ENDPOINTS
from tests.support.programs import program

DOCUMENT = openapi.document(ENDPOINTS, "1")
MS = 20_000
SEEN = [["header"], ["#viewer .opblock-tag-section:first-child"], ["#close-codes"], ["#errors"]]
"""One of each kind; all 75 calls would take axe half a minute."""


def operation(call: Endpoint) -> dict[str, Any]:
    """What the description says of a call."""
    path = re.sub(r":uuid", "", call.path)
    said: dict[str, Any] = DOCUMENT["paths"][path][call.method.lower()]
    return said


def fits(example: object, kind: Any) -> None:
    """Raises where the example is none of this type, read as strictly as a caller's body is."""
    msgspec.json.decode(msgspec.json.encode(example), type=kind)


def named(call: Endpoint) -> str:
    """A call in a test's name."""
    return f"{call.method} {call.path}"


@pytest.mark.parametrize("call", ENDPOINTS, ids=named)
def test_every_body_and_every_answer_has_an_example_that_fits(call: Endpoint) -> None:
    """By the types that the service itself decodes and encodes."""
    said = operation(call)
    for media, content in said.get("requestBody", {}).get("content", {}).items():
        if media == JSON:
            fits(content["example"], call.body_type)
    answers = [answer for code, answer in said["responses"].items() if code.startswith("2")]
    for answer in answers:
        for content in answer.get("content", {}).values():
            if call.answer_types:
                fits(content["example"], call.answer_types[0])


def test_every_refusal_has_an_example_of_its_status() -> None:
    """A problem document."""
    for name, response in DOCUMENT["components"]["responses"].items():
        example = response["content"][PROBLEM_JSON]["example"]
        fits(example, Problem)
        assert name == f"Problem{example['status']}"


def test_the_example_of_a_task_is_the_one_of_the_readme() -> None:
    """What is posted is what comes back."""
    posted = DOCUMENT["paths"]["/v1/tasks"]["post"]
    body = posted["requestBody"]["content"][JSON]["example"]
    task = posted["responses"]["201"]["content"][JSON]["example"]
    assert (body["title"], body["mode"], body["price_cents"]) == ("Hang a door", "LIVE", 4000)
    assert (task["title"], task["state"], task["hustler_pay_cents"]) == (
        *("Hang a door", "MATCHING", 3400),
    )
    assert task["escrow"]["amount_cents"] == task["price_cents"]


def test_the_viewer_is_what_its_publisher_published() -> None:
    """Unpacked it has the sums that stand beside it; nothing larger than a mebibyte is kept."""
    folder = files("gateway").joinpath("pages", "swagger_ui")
    sums = dict(
        line.split()[::-1] for line in folder.joinpath("SHA256SUMS").read_text().splitlines()
    )
    assert len(sums) == 2
    for name, expected in sums.items():
        packed = folder.joinpath(f"{name}.gz").read_bytes()
        assert len(packed) < 2**20
        assert hashlib.sha256(gzip.decompress(packed)).hexdigest() == expected
    assert viewer.VERSION in folder.joinpath("README.md").read_text()
    assert "Apache License" in folder.joinpath("LICENSE").read_text()


@pytest.mark.parametrize("url", [viewer.SCRIPT_URL, viewer.STYLE_URL])
async def test_the_viewer_comes_packed_or_unpacked(service_url: str, url: str) -> None:
    """The same bytes, whatever the client takes."""
    async with httpx.AsyncClient(base_url=service_url) as http:
        packed = await http.get(url, headers={"Accept-Encoding": "gzip"})
        plain = await http.get(url, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Whatever chromium is on the path."""
    chromium = program("chromium", "chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        await browser.close()


async def test_the_page_shows_examples_and_tries_a_call(browser: Browser, service_url: str) -> None:
    """Under the service's own security policy, asking nobody else; axe finds nothing serious."""
    page = await browser.new_page(
        viewport={"width": 390, "height": 900}, color_scheme="light", reduced_motion="reduce"
    )
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{service_url}/docs")
    create = page.locator("#operations-tasks-tasks_create")
    await expect(create).to_be_visible(timeout=MS)
    found = (await Axe().run(page, context={"include": SEEN})).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [
        (each["id"], each["nodes"][0]["html"], each["nodes"][0]["any"]) for each in serious
    ] == []

    await create.locator("button").first.click()
    await expect(create).to_contain_text('"title": "Hang a door"', timeout=MS)
    livez = page.locator("#operations-operations-livez")
    await livez.locator("button").first.click()
    await livez.locator(".try-out__btn").click()
    await livez.locator(".execute").click()
    await expect(livez.locator(".live-responses-table")).to_contain_text(
        '"status": "ok"', timeout=MS
    )
    # The lines of an answer stay lines.
    span = livez.locator(".live-responses-table code span").first
    await expect(span).to_have_css("white-space", "pre-wrap")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong == []
    assert all(url.startswith((service_url, "data:", "blob:")) for url in asked)
