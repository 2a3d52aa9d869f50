"""Rules about the shape of rows: CHECK, UNIQUE and FOREIGN KEY, each tried behind the triggers.

A change is a SET clause for all rows of a table (the town has some in every state), or a whole
statement. `writer="owner"` marks tables that the service has no privilege to write: there it is
refused for that, and the constraint judges the owner.
"""

from __future__ import annotations

from typing import Literal

from tests.sql.rules.rule_checker import NO_PRIVILEGE, RULES, Identity, Rule, RuleChecker

CHECK_VIOLATION = "23514"
UNIQUE_VIOLATION = "23505"
FOREIGN_KEY_VIOLATION = "23503"

Writer = Literal["app", "owner"]


def checks(table: str, *cases: tuple[str, str, str], writer: Writer = "app") -> None:
    """(CHECK, a change it refuses, a change it allows) of one table."""
    for name, bad, good in cases:
        shape(table, (CHECK_VIOLATION, name), bad, good, writer)


def uniques(table: str, *cases: tuple[str, str, str], writer: Writer = "app") -> None:
    """(unique constraint or index, a change it refuses, a change it allows) of one table."""
    for name, bad, good in cases:
        shape(table, (UNIQUE_VIOLATION, name), bad, good, writer)


def references(table: str, *cases: tuple[str, str], writer: Writer = "app") -> None:
    """(foreign key, its column) of one table: no id that is nowhere, any that is there."""
    for name, column in cases:
        shape(
            table,
            (FOREIGN_KEY_VIOLATION, name),
            f"{column} = gen_random_uuid()",
            f"{column} = {column}",
            writer,
        )


def shape(table: str, identity: Identity, bad: str, good: str, writer: Writer = "app") -> None:
    """A change that this verdict refuses, and one that is allowed, whatever else stands before."""

    async def check(checker: RuleChecker) -> None:
        async with checker.behind(table) as alone:
            if checker.role == "app" and writer == "owner":
                await alone.refuses(NO_PRIVILEGE, _statement(table, bad))
                return
            await alone.refuses(identity, _statement(table, bad))
            await alone.allows(_statement(table, good))

    RULES.append(Rule(identity[1], (f"{table}.{identity[1]}",), check))


def _statement(table: str, change: str) -> str:
    if change.startswith(("insert ", "update ", "delete ")):
        return change
    return f"update {table} set {change}"
