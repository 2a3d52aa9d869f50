"""The numbers of the product stand once, in `sql/schema/policy.sql`, and everything follows them."""

from __future__ import annotations

from importlib.resources import files

import asyncpg
import pytest

from engine.kernel import errors, lifecycle, policy
from engine.kernel.errors import Refusal
from geo import cells, distance, units
from sql.policy import markdown, numbers
from tests.support.market import Market, open_market
from tests.support.paths import ROOT
from tests.support.servers import TestDatabase

PAGE = ROOT / "docs" / "policy.md"


def test_the_page_is_drawn_from_the_numbers() -> None:
    """docs/policy.md shows what the database judges by; `python -m sql.policy` draws it anew."""
    assert PAGE.read_text().endswith(markdown())


async def test_every_function_of_the_file_is_read_as_a_number(market: Market) -> None:
    """Each has a meaning, a source, and the value that the database has."""
    text = files("sql").joinpath("schema/policy.sql").read_text(encoding="utf-8")
    assert len(numbers()) == text.count("create or replace function")
    for number in numbers().values():
        same = await market.app.fetchval(f"select {number.name}() = {number.value}")
        assert same, number


async def test_no_number_is_left_unused(market: Market) -> None:
    """Whoever gives up a rule gives up its number."""
    text = "".join(
        path.read_text() for path in (ROOT / "sql").rglob("*.sql") if path.name != "policy.sql"
    )
    unused = [name for name in numbers() if f"{name}()" not in text]
    assert not unused


def test_python_has_what_the_database_has() -> None:
    """The border asks early by the same numbers; geo, which knows no product, has its own."""
    for name in vars(policy):
        if name.isupper():
            assert getattr(policy, name) == float(numbers()[name.lower()].value), name
    assert float(numbers()["eta_detour"].value) == distance.ROAD_FACTOR
    assert float(numbers()["eta_speed_mph"].value) == distance.CITY_SPEED_MPH
    assert units.metres(policy.RADIUS_MILES_MAX) == pytest.approx(cells.MAX_RADIUS_M)


SENTENCES = "\n".join(
    [
        *(kind.title for kind in errors.REGISTRY.values()),
        *(step.guard for step in lifecycle.STEPS),
        *(path.read_text() for path in (ROOT / "sql/schema/live").glob("*.sql")),
    ]
)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("live_price_min_cents", "1500", "A LIVE task costs at least $15.00."),
        ("live_toggle_gap", "5 minutes", "switched on less than 5 minutes ago."),
        ("live_shift_warning", "3 hours", "You have been in LIVE mode for three hours."),
        ("live_shift", "4 hours", "After four there is a rest"),
        ("live_rest", "30 minutes", "a rest of 30 minutes."),
        ("admin_ban_max", "10 years", "between now and ten years from now."),
        ("admin_cooldown_max", "7 days", "between now and seven days from now."),
        ("review_window", "48 hours", "the timer after 48 h"),
        ("no_show_grace", "15 minutes", "NO_SHOW from ETA + 15 min"),
    ],
)
def test_what_people_read_names_the_number(name: str, value: str, words: str) -> None:
    """Whoever changes a number learns here which sentence says it in words."""
    assert words in SENTENCES
    assert numbers()[name].plain == value


async def test_a_number_changed_is_a_rule_changed(fresh_database: TestDatabase) -> None:
    """In commands, guards and checks alike, for everyone who connects from then on."""
    owner = await asyncpg.connect(fresh_database.owner_dsn)
    for name, value in (("live_price_min_cents", 2_000), ("rejections_max", 1)):
        await owner.execute(
            f"create or replace function {name}() returns integer"
            f" language sql immutable return {value}"
        )
    await owner.close()
    async with open_market(fresh_database.dsn, fresh_database.owner_dsn) as market:
        with pytest.raises(Refusal, match="at least"):
            await market.task(price_cents=1_999)
        task, hustler = await market.accepted(price_cents=2_000)
        with pytest.raises(Refusal, match="at least"):
            await market.commands.pricing.propose(hustler, task, 1_999)
        disputed, _ = await market.rejected()
        assert await market.state(disputed) == "DISPUTED"
        # the checks behind the guards
        await market.owner.execute("alter table tasks disable trigger user")
        for column, value in (("price", 1_999), ("rejections", 2)):
            with pytest.raises(asyncpg.CheckViolationError):
                await market.owner.execute(
                    f"update tasks set {column} = {value} where id = $1", task
                )
