"""`hustlexp doctor` on a database that several processes serve."""

from __future__ import annotations

from uuid import uuid4

from engine.admin.processes import Processes
from gateway.cli.doctor import _process_findings
from gateway.settings.groups import Settings
from gateway.settings.shared import shared_settings
from sql.database import Database
from tests.support.market import Market
from tests.support.servers import TestDatabase


async def report(market: Market, role: str, **environ: str) -> None:
    """One more process."""
    settings = shared_settings(Settings.load(environ))
    await Processes(market.store, settings, role=role, release="1.0", process=uuid4()).report()


async def test_it_lists_who_runs_and_names_the_settings_that_differ(
    own_market: Market, fresh_database: TestDatabase
) -> None:
    """Nobody, all of one mind, then one of another."""
    database = await Database.open(fresh_database.dsn, size=1)
    try:
        assert [(f.ok, f.found) for f in await _process_findings(database)] == [
            (True, "none"), (True, "the same in all processes"),
        ]  # fmt: skip
        for role in ("gateway", "worker"):
            await report(own_market, role)
        processes, settings = await _process_findings(database)
        assert "gateway " in processes.found
        assert "(1.0), worker " in processes.found
        assert settings.ok
        await report(own_market, "broadcaster", HX_OPEN_OFFERS="7")
        _, settings = await _process_findings(database)
        assert not settings.ok
        assert settings.found.startswith("HX_OPEN_OFFERS is 10 in gateway ")
        assert "; 7 in broadcaster " in settings.found
    finally:
        await database.close()
