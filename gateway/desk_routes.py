"""The operator's part of the URL table (docs/desk.md). All of it is for admins alone."""

from __future__ import annotations

from typing import Final

from gateway.http import desk_disputes, desk_items, desk_money, desk_people, desk_tasks, stories
from gateway.http.calls import Call
from gateway.identity.auth import OPERATORS

ADMIN: Final = "/v1/admin"
DISPUTE: Final = f"{ADMIN}/disputes/{{dispute_id:uuid}}"
SETTLEMENT: Final = f"{ADMIN}/settlements/{{settlement_id:uuid}}"
TASK: Final = f"{ADMIN}/tasks/{{task_id:uuid}}"
USER: Final = f"{ADMIN}/users/{{user_id:uuid}}"

# fmt: off
DESK_CALLS: Final = (
    Call("GET",    f"{ADMIN}/desk",               desk_items.overview,           OPERATORS),
    Call("GET",    f"{ADMIN}/items",              desk_items.page,               OPERATORS),
    Call("POST",   f"{ADMIN}/items/{{item_id:uuid}}/close", desk_items.close,    OPERATORS),
    Call("GET",    f"{ADMIN}/actions",            desk_items.actions,            OPERATORS),
    Call("GET",    f"{ADMIN}/settlements",        desk_money.settlements,        OPERATORS),
    Call("POST",   f"{SETTLEMENT}/retry",         desk_money.retry,              OPERATORS),
    Call("POST",   f"{SETTLEMENT}/book-leg",      desk_money.book_leg,           OPERATORS),
    Call("GET",    f"{ADMIN}/late-payments",      desk_money.late_payments,      OPERATORS),
    Call("GET",    f"{ADMIN}/chargebacks",        desk_money.chargebacks,        OPERATORS),
    Call("GET",    f"{ADMIN}/disputes",           desk_disputes.page,            OPERATORS),
    Call("GET",    DISPUTE,                       desk_disputes.show,            OPERATORS),
    Call("POST",   f"{DISPUTE}/request-evidence", desk_disputes.request_evidence, OPERATORS),
    Call("POST",   f"{DISPUTE}/escalate",         desk_disputes.escalate,        OPERATORS),
    Call("POST",   f"{DISPUTE}/resolve",          desk_disputes.resolve,         OPERATORS),
    Call("GET",    f"{ADMIN}/tasks/stuck",        desk_tasks.stuck,              OPERATORS),
    Call("GET",    f"{TASK}/money",               desk_money.timeline,           OPERATORS),
    Call("POST",   f"{TASK}/requeue-settlement",  desk_money.requeue,            OPERATORS),
    Call("POST",   f"{TASK}/cancel",              desk_tasks.cancel,             OPERATORS),
    Call("POST",   f"{TASK}/dispute",             desk_tasks.dispute,            OPERATORS),
    Call("POST",   f"{TASK}/unlock-codes",        desk_tasks.unlock_codes,       OPERATORS),
    Call("GET",    f"{TASK}/story",               stories.task,                  OPERATORS),
    Call("GET",    USER,                          desk_people.show,              OPERATORS),
    Call("GET",    f"{USER}/story",               stories.hustler,               OPERATORS),
    Call("GET",    f"{ADMIN}/hustlers/nearest",   stories.nearest,               OPERATORS),
    Call("POST",   f"{USER}/suspend",             desk_people.suspend,           OPERATORS),
    Call("POST",   f"{USER}/reinstate",           desk_people.reinstate,         OPERATORS),
    Call("POST",   f"{USER}/live-ban",            desk_people.live_ban,          OPERATORS),
    Call("POST",   f"{USER}/live",                desk_people.live,              OPERATORS),
    Call("POST",   f"{USER}/payout-account",      desk_money.payout_account,     OPERATORS),
    Call("POST",   f"{USER}/trust-tier",          desk_people.trust_tier,        OPERATORS),
    Call("POST",   f"{USER}/badges",              desk_people.grant_badge,       OPERATORS),
    Call("POST",   f"{ADMIN}/badges/{{badge_id:uuid}}/revoke", desk_people.revoke_badge, OPERATORS, status=204),
    Call("POST",   f"{ADMIN}/xp/{{award_id:uuid}}/flag", desk_people.flag_xp,    OPERATORS),
)
# fmt: on
