-- What the service may touch. Ledgers and derived rows are written by functions of the owner.

grant insert, update on tasks, escrows, settlements, proofs, task_codes, disputes, price_proposals to hx_app;
grant insert, update on payout_accounts, chargebacks, operator_items to hx_app;
grant insert, update, delete on uploads to hx_app;
grant insert, update on live_status, live_broadcasts, offers to hx_app;
-- when a session began is history
grant insert, update (ended_at, end_reason, tasks_accepted, tasks_declined, declines_in_row)
on live_sessions to hx_app;
grant insert, update, delete on timers, idempotency_keys to hx_app;
revoke select on idempotency_keys from hx_ai, hx_readonly;

-- What only grows: update and delete reach the trigger that refuses them by name (append_only).
grant insert, update, delete on
proof_photos, evidence, admin_actions, processed_stripe_events to hx_app;
grant update, delete on money_entries, task_transitions to hx_app;
