"""The Prometheus page: on the public port, or alone on a port of its own."""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from engine.kernel import errors
from gateway.http.parts import Parts
from sql.database import DatabaseAway

log = structlog.get_logger(__name__)


class MetricsPage:
    """The handler of /metrics."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def show(self, _: Request) -> Response:
        """The figures; without the database those that the process knows itself."""
        try:
            await self._parts.db_metrics.refresh()
        except (DatabaseAway, errors.Refusal):
            log.warning("metrics_without_database")
        # On a thread: counting the open files of 20,000 sockets would block the event loop.
        page = await asyncio.to_thread(self._parts.metrics.page)
        return Response(page, headers={"Content-Type": CONTENT_TYPE_LATEST})
