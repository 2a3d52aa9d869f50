"""The database is the judge: every rule, as the service and as the owner, from a plain connection.

Each has its refusal, with the code and the invariant's name, and the case that it allows.
"""

from __future__ import annotations

import pytest

from tests.sql.rules.catalogue import objects
from tests.sql.rules.rule_checker import ROLES, RULES, Role, Rule
from tests.sql.rules.rule_env import RuleEnv


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
async def test_the_database_guards(rule_env: RuleEnv, rule: Rule, role: Role) -> None:
    """As the rule says, whoever asks."""
    await rule.check(rule_env[role])


async def test_every_object_that_guards_has_a_rule_that_names_it(rule_env: RuleEnv) -> None:
    """Whoever adds a trigger, a constraint or a unique index learns here that it has no test."""
    there = await objects(rule_env["owner"].market.owner)
    named = {guard for rule in RULES for guard in rule.guards}
    unnamed = sorted(there.keys() - named)
    assert not unnamed, f"no rule names these: {unnamed}"
    missing = sorted(named - there.keys())
    assert not missing, f"rules name what is not there: {missing}"
