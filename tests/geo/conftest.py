from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from geo.presence.presence import Presence
from geo.valkey import Valkey, open_valkey
from tests.support.valkey_cluster import ValkeyCluster, valkey_cluster


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """A cluster of three for all tests of this worker, started when the first one asks."""
    with valkey_cluster(tmp_path_factory.mktemp("valkey-cluster")) as started:
        yield started


@pytest.fixture
def cluster(shared_cluster: ValkeyCluster) -> ValkeyCluster:
    """The cluster, empty and complete."""
    shared_cluster.wait()
    shared_cluster.empty()
    return shared_cluster


@pytest.fixture(params=["single", "cluster"])
def presence_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty server, and of any server of an empty cluster."""
    if request.param == "single":
        return str(request.getfixturevalue("fresh_valkey_url"))
    cluster: ValkeyCluster = request.getfixturevalue("cluster")
    return cluster.url


@pytest.fixture
async def valkey(presence_url: str) -> AsyncIterator[Valkey]:
    """A client of it."""
    client = open_valkey(presence_url)
    yield client
    await client.close()


@pytest.fixture
def presence(valkey: Valkey) -> Presence:
    """Presence in an empty database."""
    return Presence(valkey)
