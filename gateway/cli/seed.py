"""`hustlexp seed`: creates accounts to try the API with."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from gateway.cli.dev_accounts import open_dev_accounts
from gateway.cli.run_file import deployment
from gateway.cli.token import subject_of
from gateway.identity.auth import Role
from gateway.settings.groups import Settings

PEOPLE: Final[dict[str, Role]] = {
    "Paula": "poster",
    "Hugo": "hustler",
    "Dana": "dual",
    "Ada": "admin",
}


def seed(*, data_dir: Path | None = None) -> int:
    """Create Paula (poster), Hugo (hustler), Dana (dual) and Ada (admin); repeating changes nothing.

    `hustlexp token --role poster --name Paula` prints a token.

    Args:
        data_dir: The folder of a running `hustlexp dev`; default: the environment, or .hustlexp.
    """
    ids = asyncio.run(seed_people(deployment(data_dir, os.environ)))
    for name, user_id in ids.items():
        print(f"{name:6} {PEOPLE[name]:8} {user_id}")
    return 0


async def seed_people(settings: Settings) -> dict[str, str]:
    """Creates the seeded people; returns their ids by name."""
    async with open_dev_accounts(settings) as dev_accounts:
        return {
            name: str((await dev_accounts.person(role, name, subject_of(role, name))).user_id)
            for name, role in PEOPLE.items()
        }
