"""The admin part of the URL table (docs/admin.md); every row requires the role admin."""

from __future__ import annotations

from typing import Final

from gateway.http.admin import disputes, items, matching, money, people, stories, tasks
from gateway.http.endpoint import Endpoint
from gateway.identity.auth import ADMINS

ADMIN: Final = "/v1/admin"
DISPUTE: Final = f"{ADMIN}/disputes/{{dispute_id:uuid}}"
SETTLEMENT: Final = f"{ADMIN}/settlements/{{settlement_id:uuid}}"
TASK: Final = f"{ADMIN}/tasks/{{task_id:uuid}}"
USER: Final = f"{ADMIN}/users/{{user_id:uuid}}"

# fmt: off
ADMIN_ENDPOINTS: Final = (
    Endpoint("GET",    f"{ADMIN}/desk",               items.overview,           ADMINS),
    Endpoint("GET",    f"{ADMIN}/items",              items.page,               ADMINS),
    Endpoint("POST",   f"{ADMIN}/items/{{item_id:uuid}}/close", items.close,    ADMINS),
    Endpoint("GET",    f"{ADMIN}/actions",            items.actions,            ADMINS),
    Endpoint("GET",    f"{ADMIN}/settlements",        money.settlements,        ADMINS),
    Endpoint("POST",   f"{SETTLEMENT}/retry",         money.retry,              ADMINS),
    Endpoint("POST",   f"{SETTLEMENT}/book-leg",      money.book_leg,           ADMINS),
    Endpoint("GET",    f"{ADMIN}/late-payments",      money.late_payments,      ADMINS),
    Endpoint("GET",    f"{ADMIN}/chargebacks",        money.chargebacks,        ADMINS),
    Endpoint("GET",    f"{ADMIN}/disputes",           disputes.page,            ADMINS),
    Endpoint("GET",    DISPUTE,                       disputes.show,            ADMINS),
    Endpoint("POST",   f"{DISPUTE}/request-evidence", disputes.request_evidence, ADMINS),
    Endpoint("POST",   f"{DISPUTE}/escalate",         disputes.escalate,        ADMINS),
    Endpoint("POST",   f"{DISPUTE}/resolve",          disputes.resolve,         ADMINS),
    Endpoint("GET",    f"{ADMIN}/tasks/stuck",        tasks.stuck,              ADMINS),
    Endpoint("GET",    f"{TASK}/money",               money.timeline,           ADMINS),
    Endpoint("POST",   f"{TASK}/requeue-settlement",  money.requeue,            ADMINS),
    Endpoint("POST",   f"{TASK}/cancel",              tasks.cancel,             ADMINS),
    Endpoint("POST",   f"{TASK}/dispute",             tasks.dispute,            ADMINS),
    Endpoint("POST",   f"{TASK}/unlock-codes",        tasks.unlock_codes,       ADMINS),
    Endpoint("GET",    f"{TASK}/story",               stories.task,                  ADMINS),
    Endpoint("GET",    f"{TASK}/explain",             matching.explain,              ADMINS),
    Endpoint("GET",    USER,                          people.show,              ADMINS),
    Endpoint("GET",    f"{USER}/story",               stories.hustler,               ADMINS),
    Endpoint("GET",    f"{ADMIN}/demand",             matching.demand,               ADMINS),
    Endpoint("GET",    f"{ADMIN}/hustlers/nearest",   stories.nearest,               ADMINS),
    Endpoint("POST",   f"{USER}/suspend",             people.suspend,           ADMINS),
    Endpoint("POST",   f"{USER}/reinstate",           people.reinstate,         ADMINS),
    Endpoint("POST",   f"{USER}/sessions/revoke",     people.revoke_sessions,   ADMINS),
    Endpoint("POST",   f"{USER}/live-ban",            people.live_ban,          ADMINS),
    Endpoint("POST",   f"{USER}/live",                people.live,              ADMINS),
    Endpoint("POST",   f"{USER}/payout-account",      money.payout_account,     ADMINS),
    Endpoint("POST",   f"{USER}/trust-tier",          people.trust_tier,        ADMINS),
    Endpoint("POST",   f"{USER}/badges",              people.grant_badge,       ADMINS),
    Endpoint("POST",   f"{ADMIN}/badges/{{badge_id:uuid}}/revoke", people.revoke_badge, ADMINS, status=204),
    Endpoint("POST",   f"{ADMIN}/xp/{{award_id:uuid}}/flag", people.flag_xp,    ADMINS),
)
# fmt: on
