"""Tries what the recipes of CONTRIBUTING.md have made of the tree that this process works in.

`python -m tests.docs.followed DSN OWNER_DSN VALKEY_URL`, on an empty database.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from gateway.settings.groups import Settings
from gateway.settings.loading import catalogue
from sql.invariants import checks
from sql.migrate import migrate
from tests.support.service import Service, User, running

WITHIN_S = 10.0


async def main(dsn: str, owner_dsn: str, valkey_url: str) -> None:
    """Opens the service of this tree and asks for everything new; AssertionError for what is not."""
    await migrate(owner_dsn)
    assert "HX_PHOTOS_COUNT_S" in {item.name for item in catalogue(Settings)}
    assert "points_are_not_negative" in {check.name for check in checks()}
    with tempfile.TemporaryDirectory() as folder:
        async with running(
            dsn, owner_dsn, valkey_url, Path(folder), HX_PHOTOS_COUNT_S="0.05"
        ) as service:
            hustler = await service.user("hustler")
            await route(service, hustler)
            await event_and_error(service, hustler)
            await job_and_metric(service, hustler)


async def route(service: Service, hustler: User) -> None:
    """It answers, and OpenAPI has it."""
    assert await service.rest(hustler, "GET", "/v1/me/trust") == {"tier": 1, "points": 0.0}
    document = (await service.http.get("/openapi.json")).json()
    assert document["paths"]["/v1/me/trust"]["get"]["operationId"] == "account_trust"


async def event_and_error(service: Service, hustler: User) -> None:
    """A badge is shown, which is logged once; then it is taken back, which is refused."""
    admin = await service.user("admin")
    reason = {"reason": "Seen."}
    path = f"/v1/admin/users/{hustler.user_id}/badges"
    await service.rest(admin, "POST", path, {"badge_type": "TASKS_10"} | reason)
    (badge,) = (await service.rest(hustler, "GET", "/v1/me/progress"))["badges"]
    shown = f"/v1/me/badges/{badge['id']}/shown"
    for _ in range(2):
        await service.rest(hustler, "POST", shown)
    log = (await service.rest(hustler, "GET", "/v1/events?after=0"))["events"]
    assert [event["data"] for event in log if event["type"] == "BADGE_SHOWN"] == [
        {"badge_id": badge["id"]}
    ]
    described = (await service.http.get("/asyncapi.json")).json()["components"]["messages"]
    assert "seq" in described["server.BADGE_SHOWN"]["payload"]["properties"]

    await service.rest(admin, "POST", f"/v1/admin/badges/{badge['id']}/revoke", reason)
    headers = {"Authorization": f"Bearer {hustler.token}"}
    refused: dict[str, Any] = (await service.http.post(shown, headers=headers)).json()
    assert (refused["status"], refused["type"]) == (409, "/errors/HX402-BADGE-REVOKED")


async def job_and_metric(service: Service, hustler: User) -> None:
    """The loop counts an upload, and the figure shows it."""
    await service.owner.execute(
        "insert into uploads (user_id, storage_key, content_type, bytes, width, height, sha256)"
        " values ($1, 'a', 'image/png', 1, 1, 1, '')",
        hustler.user_id,
    )
    async with asyncio.timeout(WITHIN_S):
        while True:
            page = (await service.http.get("/metrics")).text
            if "\nhustlexp_uploads_unused 1.0\n" in page:
                return
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
