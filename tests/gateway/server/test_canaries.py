"""Secrets that a real service is given on every way, and its log, in which none of them stands."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from gateway.cli.dev_accounts import open_dev_accounts
from gateway.settings.groups import Settings
from tests.gateway.server.test_serve import SERVE, clean
from tests.support.servers import TestDatabase
from tests.support.service import Client

KEY = "canary-key-of-an-issuer-" * 2
CODE_KEY = "canary-key-of-the-codes-" * 2
PASSWORD = "canary-of-the-database"
WEBHOOK = "whsec_canary_of_the_webhook"
LAT, LNG = 37.123761, -121.987613
ADDRESS = "1 Canary Street"
ISSUER = {
    "issuer": "https://canary.example",
    "audience": "hustlexp",
    "algorithms": ["HS256"],
    "key": KEY,
}
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT?[ \d:.]*Z?")


def environment(database: TestDatabase, valkey_url: str, folder: Path) -> dict[str, str]:
    """A service whose every secret is a canary."""
    password = f"{'&' if '?' in database.dsn else '?'}password={PASSWORD}"
    return {
        "HX_PORT": "0",
        "HX_POSTGRES_DSN": database.dsn + password,
        "HX_POSTGRES_OWNER_DSN": database.owner_dsn,
        "HX_REDIS_URL": valkey_url,
        "HX_DATA_DIR": str(folder),
        "HX_DEVELOPMENT": "true",
        "HX_CODE_KEY": CODE_KEY,
        "HX_JWT_ISSUERS": json.dumps([ISSUER]),
        "HX_STRIPE_WEBHOOK_SECRETS": WEBHOOK,
        "HX_LOG_LEVEL": "debug",
    }


@contextmanager
def serving(environ: dict[str, str], log: Path) -> Iterator[str]:
    """The service while the block runs; its URL. All that it says goes to the log."""
    with log.open("w") as out:
        process = subprocess.Popen(SERVE, env=clean() | environ, stdout=out, stderr=out)
    try:
        while not (ready := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        yield ready[0]
    finally:
        process.terminate()
        process.wait(20)


class Caller:
    """Somebody who says what should not be said."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self.token = token

    async def call(self, method: str, path: str, status: int, body: object = None) -> Any:
        """A call with this answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self._http.request(method, path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


async def says_everything(url: str, settings: Settings, owner: asyncpg.Connection) -> set[str]:
    """What works, what is refused and what fails, over REST and sockets; the secrets that were said."""
    async with open_dev_accounts(settings) as accounts, httpx.AsyncClient(base_url=url) as http:
        made = [await accounts.person(role, "Ann", role) for role in ("poster", "hustler", "admin")]
        poster, hustler, admin = [Caller(http, person.token) for person in made]
        forged = jwt.encode({"iss": ISSUER["issuer"], "sub": "canary"}, "x" * 32, "HS256")
        own = jwt.encode(
            {"iss": ISSUER["issuer"], "aud": "hustlexp", "sub": "c", "role": "dual", "exp": 2**32},
            KEY,
            "HS256",
        )
        # what works: a task from its place to its codes
        place = {"lat": LAT, "lng": LNG, "address": ADDRESS}
        wanted = {
            "mode": "STANDARD",
            "title": "Hang a door",
            "description": "It came off.",
            "category": "handyman",
            "price_cents": 4_000,
            "location": place,
        }
        task = await poster.call("POST", "/v1/tasks", 201, wanted)
        path = f"/v1/tasks/{task['id']}"
        await poster.call("POST", f"{path}/fund", 201, {})
        spot = {"location": {"lat": LAT, "lng": LNG}}
        await hustler.call("POST", "/v1/live", 200, spot)
        await hustler.call("POST", f"{path}/accept", 200, {})
        await hustler.call("PUT", "/v1/live/location", 204, spot)
        held = await poster.call("GET", path, 200)
        codes = {held["start_code"], held["completion_code"]}
        await Caller(http, own).call("GET", "/v1/me", 200)
        # what is refused
        await hustler.call("POST", f"{path}/start", 422, {"code": held["start_code"] + KEY})
        await hustler.call("POST", f"{path}/start", 200, {"code": held["start_code"]})
        await hustler.call("GET", "/v1/admin/desk", 403)
        for bad in (forged, KEY, f"{own}x"):
            await Caller(http, bad).call("GET", f"/v1/me?access_token={own}", 401)
        await hustler.call("PUT", "/v1/live/location", 422, {"location": {"lat": LAT, "lng": "x"}})
        signed = {"Stripe-Signature": f"t=1,v1={WEBHOOK}"}
        webhook = await http.post("/v1/webhooks/stripe", content=WEBHOOK, headers=signed)
        assert webhook.status_code == 400
        async with connect(f"{url.replace('http', 'ws')}/ws?token={own}") as wire:
            await Client(wire).say("AUTH", {"token": forged})
            assert await Client(wire).closed() == 4100
        with pytest.raises(InvalidStatus):
            await connect(f"{url.replace('http', 'ws')}/ws", origin=Origin("https://evil.example"))
        async with connect(f"{url.replace('http', 'ws')}/ws") as wire:
            client = Client(wire)
            await client.ask("AUTH", {"token": hustler.token})
            await client.ask("UPDATE_LOCATION", {"location": {"lat": LAT, "lng": LNG, "x": 1}})
            await client.raw(f'{{"type":"AUTH","data":{{"token":"{own}"')
            # what fails: the database quotes the row that it does not take
            await owner.execute("alter table tasks add column extra text")
            await owner.execute("update tasks set extra = ''")
            await owner.execute("alter table tasks alter column extra set not null")
            await poster.call("POST", "/v1/tasks", 500, wanted)
            # the end of a session
            revoke = f"/v1/admin/users/{made[1].user_id}/sessions/revoke"
            await admin.call("POST", revoke, 200, {"reason": f"Lost at {LAT}, {LNG}"})
            assert await client.closed() == 4104
        tokens = {poster.token, hustler.token, admin.token, own, forged}
        # a token cut anywhere is one still
        parts = {part for token in tokens for part in token.split(".")[1:]}
        return tokens | parts | codes


@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_secret_stands_in_the_log_of_a_service(
    fresh_database: TestDatabase, fresh_valkey_url: str, tmp_path: Path, form: str
) -> None:
    """Whatever was called, refused or failed; and the failures are there."""
    environ = environment(fresh_database, fresh_valkey_url, tmp_path)
    log = tmp_path / "log"
    owner = await asyncpg.connect(fresh_database.owner_dsn)
    with serving(environ | {"HX_LOG_FORMAT": form}, log) as url:
        secrets = await says_everything(url, Settings.load(environ), owner)
    await owner.close()
    written = log.read_text()
    for event in (
        *("auth_failed", "access_refused", "webhook_refused", "session_refused", "admin_act"),
        *(
            "origin_refused",
            "token_revoked",
            "session_revoked",
            "request_failed",
            "Failing row contains",
        ),
    ):
        assert event in written, event
    spoken = _TIMES.sub("", written)
    secrets |= {KEY, CODE_KEY, PASSWORD, WEBHOOK, ADDRESS, str(LAT), str(LNG)}
    assert [s for s in secrets if re.search(rf"(?<!\w){re.escape(s)}(?!\w)", spoken)] == []
    assert "anary" not in spoken.replace("canary.example", "")


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("HX_POSTGRES_DSN", f"postgresql://canary:{PASSWORD}@127.0.0.1:1/x"),
        ("HX_REDIS_URL", f"{PASSWORD}://u:{PASSWORD}@127.0.0.1:1"),
        ("HX_CODE_KEY", "canary"),
        ("HX_STRIPE_WEBHOOK_SECRETS", "canary"),
        ("HX_JWT_ISSUERS", json.dumps([ISSUER | {"key": "canary"}])),
    ],
)
def test_a_service_that_does_not_start_says_why_without_its_secrets(
    tmp_path: Path, form: str, name: str, wrong: str
) -> None:
    """A server that is away, a setting that does not fit."""
    nowhere = TestDatabase("postgresql://u@127.0.0.1:1/x", "")
    environ = environment(nowhere, "redis://127.0.0.1:1", tmp_path)
    environ |= {name: wrong, "HX_LOG_FORMAT": form}
    ended = subprocess.run(
        SERVE, env=clean() | environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode in (1, 2)
    assert ended.stderr
    assert "canary" not in ended.stderr.replace("canary.example", "")
