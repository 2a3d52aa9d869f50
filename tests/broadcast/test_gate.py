"""The gate in numpy against the database's own word, on random hustlers and tasks."""

from __future__ import annotations

import time
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from broadcast.database_clock import DatabaseClock
from broadcast.hustler_columns import Vocabulary
from broadcast.task_columns import passes, task_columns
from broadcast.wave_store import WaveStore
from tests.broadcast.world import World

CATEGORIES = ["moving", "cleaning", "handyman"]
TRADES = ["plumber", "electrician"]
OPEN_MAX = 10


async def some_hustler(world: World, random: Random) -> UUID:
    """Somebody who may lack something, and mostly does not."""
    hustler = await world.hustler(
        1,
        trust_tier=random.randint(1, 4),
        radius=random.choice([None, None, 1.0, 4.5]),
        categories=random.choice([None, None, ["moving"], ["cleaning", "handyman"]]),
        profile={
            "verified_trades": [trade for trade in TRADES if random.random() < 0.5],
            "insurance_valid": random.random() < 0.7,
            "background_check_valid": random.random() < 0.7,
        },
    )
    for share, change in (
        (0.06, "select end_live($1, 'MANUAL')"),
        (0.06, "update live_status set paused_until = hx_clock() + interval '1 h' where user_id = $1"),
        (0.06, "update users set account_status = 'SUSPENDED' where id = $1"),
        (0.03, "update users set role = 'poster' where id = $1"),
    ):  # fmt: skip
        if random.random() < share:
            await world.value(change, hustler)
    return hustler


def some_demands(random: Random) -> dict[str, Any]:
    """What a task asks; little, mostly."""
    return {
        "category": random.choice(CATEGORIES),
        "required_trust_tier": random.choice([1, 1, 1, 2, 3]),
        "required_trade": random.choice([None, None, None, *TRADES]),
        "insurance_required": random.random() < 0.2,
        "background_check_required": random.random() < 0.2,
    }


@pytest.mark.parametrize("seed", [1, 2])
async def test_whom_the_columns_let_pass_the_database_would_offer_and_nobody_else(
    world: World, seed: int
) -> None:
    """Every pair of 40 hustlers and 14 tasks: the roster's row, the gate, the own wishes."""
    random = Random(seed)
    hustlers = [await some_hustler(world, random) for _ in range(40)]
    broadcasts = [await world.broadcast(**some_demands(random)) for _ in range(14)]
    # one posts a task too, another works already
    poster = await world.value("select poster_id from tasks where title = 'Carry a sofa' limit 1")
    await world.value("update users set role = 'dual' where id = $1", poster)
    await world.value("select go_live($1, null, null)", poster)
    busy = await world.hustler(1)
    taken = await world.broadcast()
    await world.value(
        "select make_offers(array[$1::uuid], array[$2::uuid], '{1}', '{1}', '{0.5}', 10)",
        taken,
        busy,
    )
    await world.value("select respond_to_offer($1, $2, 'ACCEPT', null)", busy, taken)
    hustlers += [poster, busy]

    vocabulary = Vocabulary.new()
    store = WaveStore(world.database, DatabaseClock(time.monotonic), world.counted, vocabulary)
    columns = await store.roster(hustlers)
    running = await store.broadcasts(broadcasts)
    tasks = task_columns(running, vocabulary)
    slots, rows = np.indices((len(running), len(hustlers))).reshape(2, -1)
    miles = np.array([random.choice([0.5, 1.0, 3.0, 4.5, 4.6]) for _ in slots])
    free = columns.active & (columns.open_offers < OPEN_MAX)
    found = passes(tasks, slots, columns, rows, miles) & free[rows]

    words = await world.owner.fetch(
        "select result from wave_eligibility($1, $2, $3) order by n",
        [running[slot].id for slot in slots],
        [hustlers[row] for row in rows],
        miles.tolist(),
    )
    expected = [word["result"] == "OFFER" for word in words]
    wrong = np.flatnonzero(found != expected)
    assert [(words[n]["result"], bool(found[n])) for n in wrong] == []
    assert 0.1 < np.mean(expected) < 0.8
    assert {word["result"] for word in words} >= {
        "OFFER", "NOT_ACTIVE", "NOT_ELIGIBLE", "OWN_RADIUS", "OWN_CATEGORIES", "BUSY",
    }  # fmt: skip
