"""`hustlexp doctor`: checks the servers and the settings, and reports what is wrong."""

from __future__ import annotations

import asyncio
import json as json_text
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from engine.admin.processes import differences, running_processes
from engine.kernel.schema_ledger import schema_ledger
from engine.kernel.store import Store
from engine.photos.storage import PhotoStoreAway
from gateway.cli.run_file import deployment
from gateway.identity.issuers import Issuer
from gateway.identity.keys import fetch_over_http, unreadable
from gateway.server.photo_storage import photo_store
from gateway.settings.groups import Settings
from geo.valkey import ValkeyAway, open_valkey
from sql.database import Database, DatabaseAway, DatabaseError, Session
from sql.schema_files import read_schema
from sql.schema_fit import fit

POSTGRES_MIN: Final = 150_000  # 15.0
REDIS_MIN: Final = (7, 0)
KEEPS_ALL: Final = "noeviction"
# PostgreSQL knows no such table, function or schema.
UNKNOWN_NAMES: Final = frozenset({"42P01", "42883", "3F000"})
PROBE: Final = b"written by hustlexp doctor"
# Of max_connections: what a migration, a person with psql and the superuser need besides the pool.
CONNECTIONS_SPARE: Final = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    what: str
    ok: bool
    found: str


def doctor(*, json: bool = False, data_dir: Path | None = None) -> int:
    """Check PostgreSQL, Redis, migrations, clock, photos and settings.

    Args:
        json: Print a list of {"what", "ok", "found"}.
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
    """
    settings = deployment(data_dir, os.environ)
    findings = asyncio.run(_look(settings))
    if json:
        print(json_text.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}: {finding.found}")
    return 0 if all(finding.ok for finding in findings) else 1


async def _look(settings: Settings) -> list[Finding]:
    return [
        *_settings_findings(settings),
        *[await _issuer_finding(issuer) for issuer in settings.auth.issuers],
        *await _database_findings(settings),
        *await _redis_findings(settings),
        await _photo_finding(settings),
    ]


def _settings_findings(settings: Settings) -> Iterator[Finding]:
    verified = bool(settings.auth.issuers) or settings.development
    yield Finding("tokens", verified, _issuers(settings))
    kept = bool(settings.auth.code_key) or settings.development
    yield Finding(
        "code key",
        kept,
        "set"
        if settings.auth.code_key
        else "the data folder's"
        if kept
        else "HX_CODE_KEY is unset",
    )
    open_to_all = settings.development and not settings.http.stays_here
    yield Finding(
        "development mode",
        not open_to_all,
        "on, and open to the network" if open_to_all else "on" if settings.development else "off",
    )


def _issuers(settings: Settings) -> str:
    names = [issuer.issuer for issuer in settings.auth.issuers]
    names += ["the data folder's key"] * settings.development
    return ", ".join(names) or "no issuer is believed (HX_JWT_ISSUERS)"


async def _issuer_finding(issuer: Issuer) -> Finding:
    """Returns whether a service that starts now could check this issuer's tokens."""
    why = await unreadable(issuer, fetch_over_http)
    return Finding(f"issuer {issuer.issuer}", why is None, why or "its keys can be read")


async def _database_findings(settings: Settings) -> list[Finding]:
    try:
        database = await Database.open(
            settings.postgres.dsn, size=2, statement_cache=settings.postgres.statement_cache
        )
    except (DatabaseAway, DatabaseError) as error:
        return [Finding("PostgreSQL", False, str(error))]
    try:
        session = await database.session()
        facts = (await database.rows("server_facts"))[0]
        ledger = await schema_ledger(Store(database))
        ahead: timedelta = await database.value("clock_offset")
        partitions = await _partition_finding(database)
        schema = fit(ledger, read_schema().ledger)
        processes = await _process_findings(database) if schema.serves else []
    except DatabaseAway as error:
        return [Finding("PostgreSQL", False, str(error))]
    except DatabaseError as error:
        if error.sqlstate in UNKNOWN_NAMES:
            return [Finding("migrations", False, "none applied: run `hustlexp migrate`")]
        return [Finding("PostgreSQL", False, str(error))]
    finally:
        await database.close()
    room = facts["max_connections"] - CONNECTIONS_SPARE
    return [
        Finding("PostgreSQL", facts["version_number"] >= POSTGRES_MIN, facts["version"]),
        _login_finding(session),
        Finding(
            "writable",
            not session.read_only,
            "no: a standby, or default_transaction_read_only" if session.read_only else "yes",
        ),
        Finding("fsync", facts["fsync"] == "on", facts["fsync"]),
        Finding(
            "prepared transactions",
            facts["max_prepared_transactions"] == 0,
            "none can be"
            if facts["max_prepared_transactions"] == 0
            else "one that is forgotten holds back, for ever, what sessions are told of other"
            " processes: set max_prepared_transactions = 0",
        ),
        Finding(
            "connections",
            settings.postgres.pool_size <= room,
            f"pool {settings.postgres.pool_size} per process, server {facts['max_connections']}",
        ),
        Finding(
            "migrations",
            schema.serves,
            "up to date" if schema.side == "same" else schema.sentence,
        ),
        Finding(
            "clock",
            settings.development or not ahead,
            f"{ahead} ahead (clock_offset)" if ahead else "PostgreSQL's own",
        ),
        partitions,
        *processes,
    ]


async def _process_findings(database: Database) -> list[Finding]:
    """Returns who runs, and every setting that is not the same in all processes."""
    running = await running_processes(Store(database))
    listed = ", ".join(f"{one.name} ({one.release})" for one in running) or "none"
    differing = [Finding("settings", False, str(one)) for one in differences(running)]
    return [
        Finding("processes", True, listed),
        *(differing or [Finding("settings", True, "the same in all processes")]),
    ]


async def _partition_finding(database: Database) -> Finding:
    """Returns whether this and next month's partitions exist and the default ones are empty."""
    missing = [row["missing"] for row in await database.rows("partitions_missing")]
    waiting = [
        f"{row['waiting']} rows of {row['parent']} are in none"
        for row in await database.rows("default_partition_rows")
    ]
    wrong = "; ".join([*(f"none for {month}" for month in missing), *waiting])
    todo = "start a service that has the role worker, or run `hustlexp migrate`"
    return Finding("partitions", not wrong, f"{wrong}: {todo}" if wrong else "made ahead")


def _login_finding(session: Session) -> Finding:
    """Returns the rights that the service's login has, and whether its time-outs hold."""
    if not session.complaints:
        return Finding("login", True, session.route)
    return Finding("login", False, f"{'; '.join(session.complaints)} ({session.route})")


async def _redis_findings(settings: Settings) -> list[Finding]:
    if not settings.redis.url:
        return [Finding("Redis", False, "HX_REDIS_URL is unset")]
    client = open_valkey(settings.redis.url)
    try:
        lines = await client.facts()
    except ValkeyAway as error:
        return [Finding("Redis", False, str(error))]
    finally:
        await client.close()
    name = "Valkey" if "valkey_version" in lines else "Redis"
    version = lines.get("valkey_version") or lines["redis_version"]
    numbers = tuple(int(part) for part in version.split(".")[:2])
    policy = lines["maxmemory_policy"]
    keeps = lines["maxmemory"] == "0" or policy == KEEPS_ALL
    return [
        Finding(name, numbers >= REDIS_MIN, version),
        Finding(
            "eviction",
            keeps,
            "none"
            if keeps
            else f"{policy}: a hustler who is evicted gets no offer; set maxmemory-policy {KEEPS_ALL}",
        ),
    ]


async def _photo_finding(settings: Settings) -> Finding:
    """Returns whether the photo store can be written, read and cleared."""
    where = settings.photos.url or f"the folder {settings.data_dir / 'photos'}"
    key = f"doctor-{uuid4().hex}"
    try:
        store = photo_store(settings)
        await store.put(key, PROBE, "text/plain")
        kept = await store.get(key)
        await store.delete(key)
    except PhotoStoreAway as error:
        return Finding("photos", False, f"{where}: {error}")
    return Finding("photos", kept == PROBE, where)
