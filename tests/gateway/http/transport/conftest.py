"""The service with little patience, which believes this machine's proxies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.http.transport.patience import Patience
from tests.support.service import Service, running

HASTY = Patience(
    head_within_s=0.3,
    body_stall_s=0.3,
    body_within_s=1.0,
    answer_stall_s=0.3,
    keep_alive_s=0.6,
    linger_s=0.3,
    linger_within_s=0.8,
)


@pytest.fixture(scope="session")
async def service(
    database_dsn: str,
    owner_dsn: str,
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Service]:
    """As it stands behind proxies: nothing is shortened."""
    data_dir: Path = tmp_path_factory.mktemp("edge")
    async with running(
        database_dsn,
        owner_dsn,
        valkey_url,
        data_dir,
        HX_TRUSTED_PROXIES="127.0.0.1",
        HX_ORIGINS="https://app.example.com,capacitor://localhost",
    ) as opened:
        yield opened


@pytest.fixture(scope="session")
async def hasty(
    database_dsn: str,
    owner_dsn: str,
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Service]:
    """The same with time-outs that a test can wait for."""
    data_dir: Path = tmp_path_factory.mktemp("hasty")
    async with running(database_dsn, owner_dsn, valkey_url, data_dir, patience=HASTY) as opened:
        yield opened
