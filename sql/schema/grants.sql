-- What the service may touch. Ledgers and derived rows are written by functions of the owner.
--
-- Run after every other file of the schema: the last statement protects trigger functions, and one
-- that was created anew is without that protection.

grant insert, update on tasks, escrows, settlements, proofs, task_codes, disputes, price_proposals to hx_app;
grant insert, update on payout_accounts, chargebacks, external_refunds, admin_items to hx_app;
grant insert, update, delete on uploads to hx_app;
grant insert, update, delete on broadcasters to hx_app;
grant update on broadcaster_slots to hx_app;
grant insert, update on live_status, live_broadcasts, offers to hx_app;
-- when a session began is history
grant insert, update (
    ended_at, end_reason, impossible_positions, tasks_accepted, tasks_declined, declines_in_row
)
on live_sessions to hx_app;
grant insert, update, delete on last_fixes to hx_app;
grant insert, update, delete on timers, idempotency_keys, processes to hx_app;
grant insert, update on leases to hx_app;
grant update on broadcasts_counted to hx_app;
grant update (time_zone) on progress to hx_app;
-- (processes: a digest of secrets is told to nobody who could try them against it)
revoke select on idempotency_keys, last_fixes, processes from hx_ai, hx_readonly;

-- What only grows: update and delete reach the trigger that refuses them by name (append_only), where a
-- missing grant would answer 42501.
grant insert, update, delete on
acceptances, arrivals, proof_photos, evidence, admin_actions, processed_stripe_events, xp_ledger, badges
to hx_app;
-- rows of these are inserted by functions of the owner alone
grant update, delete on
money_entries, task_transitions, trust_ledger, abandonments, xp_flags
to hx_app;

-- These take the caller's word, so that only functions of the owner may call them.
revoke execute on function
change_tier, ban_from_live, check_live_record, add_trust_points
from hx_app;

-- A guard reads the tables of the schema, whatever temporary ones a session has of the same name, and
-- checks where the owner placed it: nobody else makes a trigger of it, on a table of his own, to write
-- through it into what only it may write.
do $$
declare
    guard regprocedure;
begin
    for guard in
        select p.oid from pg_proc as p
        where p.pronamespace = 'public'::regnamespace and p.prorettype = 'trigger'::regtype
    loop
        execute format('alter function %s set search_path = public, pg_temp', guard);
        execute format('revoke execute on function %s from hx_app', guard);
    end loop;
end;
$$;
