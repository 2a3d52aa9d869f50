from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from geo.presence.presence import Presence
from geo.valkey import Valkey, open_valkey


@pytest.fixture
async def valkey(fresh_valkey_url: str) -> AsyncIterator[Valkey]:
    """A client of an empty logical database."""
    client = open_valkey(fresh_valkey_url)
    yield client
    await client.close()


@pytest.fixture
def presence(valkey: Valkey) -> Presence:
    """Presence in an empty database."""
    return Presence(valkey)
