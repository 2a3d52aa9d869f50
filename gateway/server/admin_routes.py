"""The operator's part of the URL table (docs/desk.md). All of it is for admins alone."""

from __future__ import annotations

from typing import Final

from gateway.http.admin import disputes, items, money, people, stories, tasks
from gateway.http.endpoint import Call
from gateway.identity.auth import OPERATORS

ADMIN: Final = "/v1/admin"
DISPUTE: Final = f"{ADMIN}/disputes/{{dispute_id:uuid}}"
SETTLEMENT: Final = f"{ADMIN}/settlements/{{settlement_id:uuid}}"
TASK: Final = f"{ADMIN}/tasks/{{task_id:uuid}}"
USER: Final = f"{ADMIN}/users/{{user_id:uuid}}"

# fmt: off
DESK_CALLS: Final = (
    Call("GET",    f"{ADMIN}/desk",               items.overview,           OPERATORS),
    Call("GET",    f"{ADMIN}/items",              items.page,               OPERATORS),
    Call("POST",   f"{ADMIN}/items/{{item_id:uuid}}/close", items.close,    OPERATORS),
    Call("GET",    f"{ADMIN}/actions",            items.actions,            OPERATORS),
    Call("GET",    f"{ADMIN}/settlements",        money.settlements,        OPERATORS),
    Call("POST",   f"{SETTLEMENT}/retry",         money.retry,              OPERATORS),
    Call("POST",   f"{SETTLEMENT}/book-leg",      money.book_leg,           OPERATORS),
    Call("GET",    f"{ADMIN}/late-payments",      money.late_payments,      OPERATORS),
    Call("GET",    f"{ADMIN}/chargebacks",        money.chargebacks,        OPERATORS),
    Call("GET",    f"{ADMIN}/disputes",           disputes.page,            OPERATORS),
    Call("GET",    DISPUTE,                       disputes.show,            OPERATORS),
    Call("POST",   f"{DISPUTE}/request-evidence", disputes.request_evidence, OPERATORS),
    Call("POST",   f"{DISPUTE}/escalate",         disputes.escalate,        OPERATORS),
    Call("POST",   f"{DISPUTE}/resolve",          disputes.resolve,         OPERATORS),
    Call("GET",    f"{ADMIN}/tasks/stuck",        tasks.stuck,              OPERATORS),
    Call("GET",    f"{TASK}/money",               money.timeline,           OPERATORS),
    Call("POST",   f"{TASK}/requeue-settlement",  money.requeue,            OPERATORS),
    Call("POST",   f"{TASK}/cancel",              tasks.cancel,             OPERATORS),
    Call("POST",   f"{TASK}/dispute",             tasks.dispute,            OPERATORS),
    Call("POST",   f"{TASK}/unlock-codes",        tasks.unlock_codes,       OPERATORS),
    Call("GET",    f"{TASK}/story",               stories.task,                  OPERATORS),
    Call("GET",    USER,                          people.show,              OPERATORS),
    Call("GET",    f"{USER}/story",               stories.hustler,               OPERATORS),
    Call("GET",    f"{ADMIN}/hustlers/nearest",   stories.nearest,               OPERATORS),
    Call("POST",   f"{USER}/suspend",             people.suspend,           OPERATORS),
    Call("POST",   f"{USER}/reinstate",           people.reinstate,         OPERATORS),
    Call("POST",   f"{USER}/live-ban",            people.live_ban,          OPERATORS),
    Call("POST",   f"{USER}/live",                people.live,              OPERATORS),
    Call("POST",   f"{USER}/payout-account",      money.payout_account,     OPERATORS),
    Call("POST",   f"{USER}/trust-tier",          people.trust_tier,        OPERATORS),
    Call("POST",   f"{USER}/badges",              people.grant_badge,       OPERATORS),
    Call("POST",   f"{ADMIN}/badges/{{badge_id:uuid}}/revoke", people.revoke_badge, OPERATORS, status=204),
    Call("POST",   f"{ADMIN}/xp/{{award_id:uuid}}/flag", people.flag_xp,    OPERATORS),
)
# fmt: on
