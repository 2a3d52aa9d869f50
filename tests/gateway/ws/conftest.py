"""The service that the socket tests of one worker share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.ws.service import Service, running


@pytest.fixture(scope="session")
async def service(
    database_dsn: str,
    owner_dsn: str,
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Service]:
    """A whole service in this loop, on the worker's database."""
    data_dir: Path = tmp_path_factory.mktemp("service")
    async with running(database_dsn, owner_dsn, valkey_url, data_dir) as opened:
        yield opened
