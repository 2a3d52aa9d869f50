"""Development accounts that are verified and able to work, with their tokens.

Production accounts come from identity providers and verification; nothing here is reachable there.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from gateway.identity.auth import MAY_WORK, Role
from gateway.identity.minting import DEV_ISSUER, mint
from gateway.settings.groups import Settings
from gateway.settings.loading import SettingsError
from sql.database import Database

# Each stands in the specification's list of trades.
TRADES = ("appliance_installer", "electrician", "plumber")
NAME_CHARS_MAX = 80


@dataclass(frozen=True, slots=True)
class Person:
    """A development account with a token that lasts a day."""

    user_id: UUID
    token: str = field(repr=False)


class DevAccounts:
    """Creates accounts as the database's owner, and signs tokens with the data folder's key."""

    def __init__(self, owner: Database, data_dir: Path) -> None:
        self._owner = owner
        self._data_dir = data_dir

    async def person(
        self, role: Role, name: str, subject: str, home: tuple[float, float] | None = None
    ) -> Person:
        """Returns the account of `subject`, created at first use: verified, insured if it may work.

        `home` is latitude and longitude in degrees.
        """
        name = name[:NAME_CHARS_MAX]
        rows = await self._owner.rows("users_for", [DEV_ISSUER], [subject], [role], [name])
        user_id: UUID = rows[0]["id"]
        await self._owner.execute("vouch_for_user", user_id, role, name)
        if role in MAY_WORK:
            lat, lng = home or (None, None)
            await self._owner.execute("vouch_for_hustler", user_id, list(TRADES), lat, lng)
        return Person(
            user_id, mint(self._data_dir, subject=subject, role=role, name=name, now=time.time())
        )


@asynccontextmanager
async def open_dev_accounts(settings: Settings) -> AsyncIterator[DevAccounts]:
    """Opens the development accounts of these settings.

    Raises SettingsError outside of development, DatabaseAway when the server is not there.
    """
    if not settings.development:
        raise SettingsError(
            "This command makes development accounts: it needs HX_DEVELOPMENT=true, as "
            "`hustlexp dev` sets it."
        )
    owner = await Database.open(
        settings.postgres.owner_dsn or settings.postgres.dsn, role="hx_owner", size=2
    )
    try:
        yield DevAccounts(owner, settings.data_dir)
    finally:
        await owner.close()
