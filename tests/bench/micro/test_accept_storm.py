"""The accept storm, small: that it runs on the schema as it is, not how fast."""

from __future__ import annotations

import pytest

from bench.micro import accept_storm
from tests.support.servers import TestDatabase


async def test_both_accepts_give_one_winner_and_a_ratio(
    fresh_database: TestDatabase,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Eight contenders, two rounds of each function after the warming ones."""
    monkeypatch.setattr(accept_storm, "CONTENDERS", 8)
    monkeypatch.setattr(accept_storm, "ROUNDS", 2)
    await accept_storm.measure(fresh_database.dsn, fresh_database.owner_dsn)
    assert "storm, all answered" in capsys.readouterr().out
