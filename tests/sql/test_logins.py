"""From an empty cluster to a service that may serve, with logins as a managed database gives them."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sql.database import Database, DatabaseUnfit
from sql.migrate import migrate
from sql.schema_files import File, read_schema
from sql.service_login import equip, equip_itself
from tests.conftest import SERVERS_FILE
from tests.support.clusters import EMBEDDED, Cluster, cluster
from tests.support.servers import RunServers

_numbers = itertools.count()


@dataclass(frozen=True)
class Managed:
    """A new database whose operator's login may create roles; nothing else has happened to it."""

    cluster: Cluster
    database: str

    @property
    def admin(self) -> str:
        """Of the login that migrates."""
        return self.dsn("admin")

    def dsn(self, login: str) -> str:
        """Of any login."""
        return self.cluster.dsn(login, self.database)

    async def login(self, made_by: str) -> str:
        """A new login that may do nothing."""
        name = f"web_{next(_numbers)}"
        await self.cluster.run(f"create role {name} login", made_by)
        return name


@pytest.fixture(scope="module", params=[EMBEDDED, pytest.param("15", marks=pytest.mark.long)])
async def own_cluster(
    request: pytest.FixtureRequest, run_servers: RunServers, worker_number: int
) -> AsyncIterator[Cluster]:
    """Empty when the first test begins."""
    folder = Path(os.environ[SERVERS_FILE]).parent / f"gw{worker_number}-cluster-{request.param}"
    folder.mkdir(mode=0o700)
    async with cluster(request.param, folder) as opened:
        await opened.run("create role admin login createrole")
        yield opened
    shutil.rmtree(folder)


@pytest.fixture
async def managed(own_cluster: Cluster) -> Managed:
    """A database of this test."""
    name = f"hustlexp_{next(_numbers)}"
    await own_cluster.run(f"create database {name} owner admin")
    return Managed(own_cluster, name)


async def test_migrate_makes_the_login_fit_to_serve(managed: Managed) -> None:
    """Before it a sentence names the grant; after it the login acts as hx_app, time-outs its own."""
    login = await managed.login("admin")
    web = managed.dsn(login)
    await migrate(managed.admin)
    with pytest.raises(DatabaseUnfit, match=r'set role "hx_app".*grant hx_app'):
        await Database.open(web)
    await managed.cluster.run(f"alter role {login} set lock_timeout = '2s'", "admin")
    assert await equip(managed.admin, login) == []
    assert await equip(managed.admin, login) == []
    kept = (
        "select setdatabase = 0 from pg_db_role_setting cross join unnest(setconfig) as s"
        f" where setrole = '{login}'::regrole and s ="
    )
    assert await managed.cluster.run(f"{kept} 'lock_timeout=2s'") == "t"
    assert await managed.cluster.run(f"{kept} 'lock_timeout=750'") == ""
    database = await Database.open(web)
    session = await database.session()
    assert (session.login, session.acting, session.complaints) == (login, "hx_app", ())
    await database.execute("sweep_idempotency_keys", 1)
    await database.close()


async def test_what_an_administrator_has_to_do_is_told(managed: Managed) -> None:
    """A login of somebody else's sets its own time-outs; of one that is not there all is left."""
    stranger = await managed.login("postgres")
    await migrate(managed.admin)
    version = int(await managed.cluster.run("show server_version_num"))
    left = await equip(managed.admin, stranger)
    # From 16 on a role that creates roles has no power over those of others.
    assert bool(left) is (version >= 160_000)
    assert all(statement.startswith("alter role") for statement in left)
    assert await equip_itself(managed.dsn(stranger), left) == []
    assert await equip(managed.admin, stranger) == []
    database = await Database.open(managed.dsn(stranger))
    await database.close()
    missing = await equip(managed.admin, "nobody_yet")
    assert missing[0] == 'grant hx_app to "nobody_yet";'
    assert len(missing) == 6
    assert await equip_itself(managed.dsn("nobody_yet"), missing) == missing


async def test_the_login_that_migrates_keeps_its_own_settings(managed: Managed) -> None:
    """No time-out of a login ends a migration, and the service's are not given to this one."""
    hasty = f"alter role admin in database {managed.database} set statement_timeout = '500ms'"
    await managed.cluster.run(hasty, "admin")
    schema = read_schema()
    await migrate(managed.admin, schema=schema)
    late = File("9999_slow.sql", "select pg_sleep(0.7)")
    slow = replace(schema, migrations=(*schema.migrations, late))
    assert await migrate(managed.admin, schema=slow) == ["9999_slow.sql", "schema/grants.sql"]
    assert await migrate(managed.admin, schema=slow) == []
    assert await equip(managed.admin, "admin") == []
    database = await Database.open(managed.admin)
    assert (await database.session()).acting == "hx_app"
    await database.close()
