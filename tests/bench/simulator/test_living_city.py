"""The whole way through the real service, and the map page over it in a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from bench.simulator import money_check, summary
from bench.simulator.city import City, Setting
from bench.simulator.people import Role
from bench.simulator.projection import LatLng
from bench.simulator.run_log import RunLog
from gateway.cli.dev_accounts import open_dev_accounts
from gateway.observer.time_scale import recorded_time_scale
from gateway.settings.groups import Settings
from tests.bench.simulator.small_city import SmallCity
from tests.support.programs import program
from tests.support.servers import TestDatabase
from tests.support.service import Service, running

SPEED = 120.0
TASKS = 4
WITHIN_S = 30.0
DISPUTING = 150
"""A seed whose first task is disputed by its poster."""
MS = 15_000
DRAWN = """() => {
  const canvas = document.getElementById("map");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, at) => at % 4 === 3 && value > 200);
}"""


MIDDLE = """() => {
  const panel = document.getElementById("panel").getBoundingClientRect();
  return [innerWidth / 2, (64 + panel.top) / 2];
}"""
"""Where the map of a phone puts what is all in one place."""


@asynccontextmanager
async def living_city(
    service: Service, settings: Settings, small_city: SmallCity, seed: int
) -> AsyncIterator[City]:
    """Hustlers around one crossing and three posters, as outside clients of the service."""
    async with open_dev_accounts(settings) as dev_accounts:

        async def mint(role: Role, name: str, home: LatLng | None) -> tuple[str, UUID]:
            person = await dev_accounts.person(role, name, uuid4().hex, home)
            return person.token, person.user_id

        setting = Setting(service.url, service.ws_url, small_city.hustlers, seed, SPEED)
        city = City(setting, small_city, mint, RunLog())
        run = asyncio.create_task(city.run())
        try:
            yield city
        finally:
            city.end()
            await run


@pytest.fixture
async def service(
    fresh_database: TestDatabase, fresh_valkey_url: str, tmp_path: Path
) -> AsyncIterator[Service]:
    """A service with a database and presence of its own."""
    database = fresh_database
    async with running(database.dsn, database.owner_dsn, fresh_valkey_url, tmp_path) as opened:
        yield opened


@pytest.fixture
def settings(fresh_database: TestDatabase, tmp_path: Path) -> Settings:
    """Where its accounts are made."""
    return Settings.load(
        {
            "HX_POSTGRES_DSN": fresh_database.dsn,
            "HX_POSTGRES_OWNER_DSN": fresh_database.owner_dsn,
            "HX_DATA_DIR": str(tmp_path),
            "HX_DEVELOPMENT": "true",
        }
    )


@pytest.fixture
async def city(service: Service, settings: Settings) -> AsyncIterator[City]:
    """Twelve hustlers on that service, and posters who turn two of four proofs down."""
    async with living_city(service, settings, SmallCity(12, TASKS), seed=9) as living:
        yield living


WHOLE_STORY = [
    *("POSTED", "FUNDED", "WAVE", "ACCEPTED", "ARRIVED", "STARTED"),
    *("PROOF", "COMPLETED", "PAID"),
]


async def fetched(service: Service, path: str) -> dict[str, Any]:
    """What an admin reads."""
    headers = {"Authorization": f"Bearer {service.token('reader', 'admin')}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers) as http:
        answer: dict[str, Any] = (await http.get(path)).raise_for_status().json()
        return answer


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something to become true; TimeoutError when it does not."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            if holds():
                return
            await asyncio.sleep(0.05)


async def test_a_city_matches_itself_down_to_the_paid_task(service: Service, city: City) -> None:
    """Outside clients alone: post, fund, accept, drive, codes at the door, rework, approve, paid.

    Every hustler's connection breaks every two seconds or so, and no event is lost by it. An
    admin reads the whole story, of the task and of who did it.
    """
    counts = city.run_log.counts
    await until(lambda: counts["paid"] == TASKS and counts["outage"] >= 12)
    money = await money_check.balance(city)
    assert money == money_check.Money(36_000, 30_600, 5_400, 0, 0, 0)
    figures = summary.summarise(city, None, money)
    tasks = figures.tasks
    # a hustler who gives a task back makes it two
    task_traces = TASKS + counts["release"]
    assert (tasks.posted, tasks.accepted, tasks.paid) == (task_traces, task_traces, TASKS)
    assert (tasks.rejected, counts["rejected"], counts["again"]) == (2, 2, 2)
    assert "in $360.00 = paid $306.00 + fees $54.00" in summary.text(figures)
    assert figures.answers["won"] == task_traces
    assert figures.time_to_accept is not None
    assert figures.accept_to_notified is not None
    assert figures.reconnects > 0
    assert (figures.gaps, figures.resyncs) == (0, 0)
    paid = next(id_ for id_, trace in city.run_log.task_traces.items() if trace.paid_at)
    story = await fetched(service, f"/v1/admin/tasks/{paid}/story")
    kinds = [step["kind"] for step in story["steps"]]
    assert [kind for kind in dict.fromkeys(kinds) if kind in WHOLE_STORY] == WHOLE_STORY
    assert sorted(step["at"] for step in story["steps"]) == [step["at"] for step in story["steps"]]
    assert "FIRST_CARD" in kinds
    wave = story["steps"][kinds.index("WAVE")]
    assert wave["radius_miles"] == 3.0
    assert 1 <= wave["offers"] <= 12
    winner = await fetched(service, f"/v1/admin/users/{story['hustler_id']}/story")
    assert winner["first_name"] == story["hustler_name"]
    assert str(paid) in [task["id"] for task in winner["tasks"]]
    assert str(paid) in [offer["task_id"] for offer in winner["offers"]]
    assert winner["earned_cents"] == 7_650 * winner["paid"]


async def test_a_disputed_task_keeps_its_money(service: Service, settings: Settings) -> None:
    """With a poster who disputes the one task; nobody decides, and the books say what is held."""
    async with living_city(service, settings, SmallCity(4, 1), seed=DISPUTING) as city:
        await until(lambda: city.run_log.counts["disputed"] == 1)
        assert await money_check.balance(city) == money_check.Money(9_000, 0, 0, 0, 9_000, 0)
        assert summary.summarise(city, None).tasks.disputed == 1


async def test_a_poster_raises_the_price_once_and_then_gives_up(
    service: Service, settings: Settings
) -> None:
    """Nobody is there: both payments come back, and the books add up."""
    async with living_city(service, settings, SmallCity(0, 1, "INCREASE_PRICE"), seed=7) as city:
        counts = city.run_log.counts
        for times in (1, 2):
            await until(lambda times=times: counts["funded"] == times)  # type: ignore[misc]
            await service.owner.execute(
                "insert into clock_offset (amount) values ('10 minutes 1 second') on conflict"
                " (singleton) do update set amount = clock_offset.amount + excluded.amount"
            )
        await until(lambda: counts["refund"] == 2)
        assert counts["expired"] == 2
        (task,) = city.run_log.task_traces
        steps = (await fetched(service, f"/v1/admin/tasks/{task}/story"))["steps"]
        reached = [step["radius_miles"] for step in steps if step["kind"] == "WAVE"]
        assert reached == 2 * [3.0, 5.0, 7.0, 9.0, 10.0]
        ends = [step["kind"] for step in steps if step["kind"] in ("NOBODY_CAME", "REFUNDED")]
        assert ends.count("NOBODY_CAME") == 2
        assert ends.count("REFUNDED") == 2
        assert await money_check.balance(city) == money_check.Money(20_250, 0, 0, 20_250, 0, 0)
        assert summary.summarise(city, None).tasks.raised == 1


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


async def opened(
    browser: Browser, url: str, width: int = 1280, scheme: Literal["dark", "light"] = "dark"
) -> tuple[Page, list[str]]:
    """The map in a window of its own, and everything that goes wrong in it."""
    page = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text))
    await page.goto(url)
    return page, wrong


async def serious(page: Page) -> list[str]:
    """What axe finds that keeps somebody out; nothing on a good page."""
    found = (await Axe().run(page)).response["violations"]
    return [
        f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] != "minor"
    ]


@pytest.fixture
def hurry(tmp_path: Path) -> Iterator[None]:
    """What `hustlexp simulate` says beside its city."""
    with recorded_time_scale(tmp_path, SPEED):
        yield


@pytest.mark.usefixtures("city", "hurry")
async def test_the_map_shows_the_city_and_comes_back_by_itself(
    browser: Browser, service: Service
) -> None:
    """Figures and dots on a desk and on a phone, no overflow, no word in the console.

    A lost line is said, and mended without a hand.
    """
    for width in (1280, 390):
        page, wrong = await opened(browser, service.url, width)
        await expect(page.locator("#connection")).to_have_text("live", timeout=MS)
        await expect(page.locator("#live")).not_to_have_text("0", timeout=MS)
        await page.wait_for_function(DRAWN, timeout=MS)
        await expect(page.locator("#pace")).to_contain_text(f"live {SPEED:g}×", timeout=MS)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await serious(page) == []
        assert wrong == []
    for observer in tuple(service.parts.hub.registry.observers):
        observer.transport.abort()
    await expect(page.locator("#connection")).not_to_have_text("live", timeout=MS)
    await expect(page.locator("#connection")).to_have_text("live", timeout=MS)


async def test_the_map_tells_stories_to_hand_and_keyboard(
    browser: Browser, service: Service, settings: Settings
) -> None:
    """A hustler by a click, a task by an event's button or by keys; axe finds nothing serious."""
    async with living_city(service, settings, SmallCity(12, 0), seed=1):
        page, wrong = await opened(browser, service.url, 390, "light")
        title, body = page.locator("#story-title"), page.locator("#story-body")
        await expect(page.locator("#live")).to_have_text("12", timeout=MS)
        await page.wait_for_function(DRAWN, timeout=MS)
        await asyncio.sleep(1)  # the view glides to them
        await page.mouse.click(*await page.evaluate(MIDDLE))
        await expect(title).to_be_focused(timeout=MS)
        await expect(page.locator("#story-now")).to_have_text("Waits for offers.")
        await page.keyboard.press("Escape")

        async with living_city(service, settings, SmallCity(0, 4), seed=2):
            await page.locator("#events button").last.press("Enter")
            await expect(body).to_contain_text("posts it for $90", timeout=MS)
            await expect(body).to_contain_text("reaches 3 miles: ", timeout=MS)
            assert await serious(page) == []
            await page.keyboard.press("Escape")
            assert await page.evaluate("document.activeElement.closest('#events') !== null")
            assert await serious(page) == []

            await page.locator("#map").press("n")
            await page.locator("#map").press("Enter")
            await expect(body).to_contain_text("is held, the search begins", timeout=MS)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert wrong == []


async def test_without_a_given_token_the_map_asks_for_one(
    browser: Browser, service: Service
) -> None:
    """As in production; a hustler's token is refused, an admin's shows the city."""
    page, _ = await opened(browser, service.url.replace("127.0.0.1", "map.localhost"))
    await expect(page.locator("#ask")).to_be_visible()
    hustler, admin = service.token("someone", "hustler"), service.token("operator", "admin")
    for token, text in ((hustler, "not connected"), (admin, "live")):
        await page.fill("#ask-token", token)
        await page.keyboard.press("Enter")
        await expect(page.locator("#connection")).to_have_text(text, timeout=MS)
    await expect(page.locator("#ask")).to_be_hidden()
