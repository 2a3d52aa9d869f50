"""`hustlexp token`: creates a development user and prints its token."""

from __future__ import annotations

import asyncio
import json as json_text
import os
from pathlib import Path
from uuid import uuid4

from gateway.cli.dev_accounts import Person, open_dev_accounts
from gateway.cli.run_file import deployment
from gateway.identity.auth import Role
from gateway.server.cli_errors import UsageError
from gateway.settings.groups import Settings


def token(
    *,
    role: Role,
    name: str | None = None,
    lat: float | None = None,
    lng: float | None = None,
    count: int = 1,
    json: bool = False,
    data_dir: Path | None = None,
) -> int:
    """Print a token that lasts a day; the user is made if need be, verified and able to work.

    The same role and name give the same user; without a name it is a new one.

    Args:
        role: What the user may do.
        name: First name.
        lat: Home latitude in degrees, for hustlers; with --lng.
        lng: Home longitude in degrees.
        count: So many users, one line each; with a name: name-1, name-2, …
        json: Print {"token", "user_id"}.
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
    """
    if (lat is None) != (lng is None):
        raise UsageError("--lat and --lng go together.")
    if lat is not None and lng is not None and not (abs(lat) <= 90 and abs(lng) <= 180):
        raise UsageError("--lat is from -90 to 90 degrees, --lng from -180 to 180.")
    if not 1 <= count <= 100_000:
        raise UsageError("--count is from 1 to 100000.")
    names = [name] if count == 1 else [name and f"{name}-{n}" for n in range(1, count + 1)]
    home = None if lat is None or lng is None else (lat, lng)
    settings = deployment(data_dir, os.environ)
    for person in asyncio.run(_persons(settings, role, names, home)):
        line = {"token": person.token, "user_id": str(person.user_id)}
        print(json_text.dumps(line) if json else person.token)
    return 0


async def _persons(
    settings: Settings, role: Role, names: list[str | None], home: tuple[float, float] | None
) -> list[Person]:
    async with open_dev_accounts(settings) as dev_accounts:
        return [
            await dev_accounts.person(role, name or role.title(), subject_of(role, name), home)
            for name in names
        ]


def subject_of(role: Role, name: str | None) -> str:
    """Returns the subject of a development user; without a name a unique one."""
    return f"{role}:{name or uuid4()}"
