"""How a rule is tried: a violation that is refused by name, beside a case that is allowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import asyncpg

from tests.sql.rules.world import World
from tests.support.market import Market

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Role = Literal["app", "owner"]
ROLES: tuple[Role, ...] = ("app", "owner")
Identity = tuple[str, str]
"""SQLSTATE and constraint: the identity of a refusal."""
NO_PRIVILEGE: Identity = ("42501", "")


class WrongAnswer(AssertionError):
    """The database answered otherwise than the rule says."""


class RuleChecker:
    """The database as one role meets it from a plain connection, with a town to be judged in.

    Statements name the town's rows in braces; `$1` … are rows of the rule's own.
    """

    def __init__(self, market: Market, world: World, role: Role, login: asyncpg.Connection) -> None:
        self.market = market
        self.world = world
        self.role = role
        self._db = market.app if role == "app" else market.owner
        self._login = login

    async def refuses(self, identity: Identity, statement: str, *args: object) -> None:
        """The statement, a transaction of its own, is refused with exactly this verdict."""
        self._compare(statement, await self._result(self._db, statement, *args), identity)

    async def refuses_one_of(self, identities: frozenset[Identity], statement: str) -> None:
        """The statement is refused with one of these: several judges are in its way."""
        got = await self._result(self._db, statement)
        if got not in identities:
            raise WrongAnswer(f"{self.role}: {statement}: {got or 'allowed'}, not of {identities}")

    async def allows(self, statement: str, *args: object) -> None:
        """The statement would commit; what it did is undone."""
        transaction = self._db.transaction()
        await transaction.start()
        got = await self._result(self._db, statement, *args)
        got = got or await self._result(self._db, "set constraints all immediate")
        await transaction.rollback()
        self._compare(statement, got, None)

    async def does(self, statement: str, *args: object) -> None:
        """The statement commits: a step towards what is to be judged."""
        self._compare(statement, await self._result(self._db, statement, *args), None)

    async def refuses_commit(self, identity: Identity, *statements: str) -> None:
        """Each statement is let in, and the commit of them all is refused (deferred rules)."""
        transaction = self._db.transaction()
        await transaction.start()
        for statement in statements:
            got = await self._result(self._db, statement)
            if got is not None:
                await transaction.rollback()
                self._compare(statement, got, None)
        try:
            await transaction.commit()
        except asyncpg.PostgresError as error:
            self._compare("commit", _identity(error), identity)
        else:
            self._compare("; ".join(statements), None, identity)

    async def allows_commit(self, *statements: str) -> None:
        """Together the statements would commit; what they did is undone."""
        transaction = self._db.transaction()
        await transaction.start()
        for statement in (*statements, "set constraints all immediate"):
            got = await self._result(self._db, statement)
            if got is not None:
                await transaction.rollback()
                self._compare(statement, got, None)
        await transaction.rollback()

    async def value(self, query: str, *args: object) -> object:
        """What this role reads."""
        return await self._db.fetchval(query.format_map(self.world.ids), *args)

    async def holds(self, query: str, *args: object) -> None:
        """The query answers true."""
        if await self.value(query, *args) is not True:
            raise WrongAnswer(f"{self.role}: {query} does not hold")

    @asynccontextmanager
    async def behind(self, *sleeping: str) -> AsyncIterator[RuleChecker]:
        """The same role where these triggers sleep (`table.name`, or all of a table).

        So a rule is seen that stands behind another: alone, as if the other were gone. Leaving the
        block undoes everything.
        """
        async with AsyncExitStack() as stack:
            transaction = self._login.transaction()
            await transaction.start()
            stack.push_async_callback(transaction.rollback)
            await self._login.execute("set local role hx_owner")
            for name in sleeping:
                table, _, trigger = name.partition(".")
                await self._login.execute(
                    f"alter table {table} disable trigger {trigger or 'user'}"
                )
            await self._login.execute(f"set local role hx_{self.role}")
            yield _Asleep(self, self._login)

    async def _result(
        self, db: asyncpg.Connection, statement: str, *args: object
    ) -> Identity | None:
        try:
            await db.execute(statement.format_map(self.world.ids), *args)
        except asyncpg.PostgresError as error:
            return _identity(error)
        return None

    def _compare(self, statement: str, got: Identity | None, expected: Identity | None) -> None:
        if got != expected:
            raise WrongAnswer(
                f"{self.role}: {statement}: {got or 'allowed'}, not {expected or 'allowed'}"
            )


class _Asleep(RuleChecker):
    """Inside a transaction that is undone in the end: each statement has a savepoint of its own."""

    def __init__(self, awake: RuleChecker, login: asyncpg.Connection) -> None:
        super().__init__(awake.market, awake.world, awake.role, login)
        self._db = login

    async def _result(
        self, db: asyncpg.Connection, statement: str, *args: object
    ) -> Identity | None:
        try:
            async with db.transaction():
                await db.execute(statement.format_map(self.world.ids), *args)
        except asyncpg.PostgresError as error:
            return _identity(error)
        return None


def _identity(error: asyncpg.PostgresError) -> Identity:
    return str(error.sqlstate), str(getattr(error, "constraint_name", "") or "")


Check = Callable[[RuleChecker], Awaitable[None]]


@dataclass(frozen=True)
class Rule:
    """One behaviour, and the objects of the catalogue that bring it about (`table.name`)."""

    name: str
    guards: tuple[str, ...]
    check: Check


RULES: list[Rule] = []


def rule(*guards: str) -> Callable[[Check], Check]:
    """Registers a check under the objects it speaks for."""

    def register(check: Check) -> Check:
        RULES.append(Rule(check.__name__, guards, check))
        return check

    return register
