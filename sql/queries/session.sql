-- What a connection is: asked when it is opened, by /readyz and by `hustlexp doctor`
-- (sql/session.py).

-- name: session_facts
-- Whose rights its statements have, and what bounds them. `settings` has each in two values: the
-- present one, and the one that a pooler's reset would leave. Works before any migration.
select
    pg_backend_pid() as pid,
    current_database()::text as database,
    session_user::text as login,
    current_user::text as acting,
    pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as read_only,
    coalesce(pg_has_role(session_user, n.app, 'usage'), false) as login_is_app,
    coalesce(pg_has_role(current_user, n.app, 'usage'), false) as acting_is_app,
    coalesce(
        pg_has_role(session_user, n.owner, 'usage')
        or has_table_privilege(session_user, n.clock, 'insert, update, delete, truncate'),
        false
    ) as login_exceeds,
    coalesce(
        pg_has_role(current_user, n.owner, 'usage')
        or has_table_privilege(current_user, n.clock, 'insert, update, delete, truncate'),
        false
    ) as acting_exceeds,
    (
        select jsonb_object_agg(s.name, jsonb_build_array(s.setting, s.reset_val))
        from pg_settings as s
        where s.name in (
            'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'TimeZone',
            'session_replication_role'
        )
    )::text as settings
from (
    select
        to_regrole('hx_app')::oid as app,
        to_regrole('hx_owner')::oid as owner,
        to_regclass('public.clock_offset')::oid as clock
) as n;
