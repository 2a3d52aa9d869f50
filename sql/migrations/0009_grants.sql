-- What the service may touch. Ledgers and derived rows are written by functions of the owner.

grant insert, update on tasks, escrows, settlements, proofs, task_codes to hx_app;
grant insert, update on live_sessions, live_status, live_broadcasts, offers to hx_app;
grant insert, update, delete on timers, idempotency_keys to hx_app;
grant update (first_name) on users to hx_app;
revoke select on idempotency_keys from hx_ai, hx_readonly;

-- hx_ai and hx_readonly read and call nothing that writes: every command needs table rights that
-- only hx_app has; the two definer functions are closed to them here.
revoke execute on function append_events(jsonb) from hx_ai, hx_readonly;
revoke execute on function user_for(text, text, text, text) from hx_ai, hx_readonly;
