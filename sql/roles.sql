-- The four roles, made only where they are missing; run by the migrator before the first migration.
--   hx_owner     owns every object; migrates
--   hx_app       runs the service: no delete or update on ledgers, no direct write to derived tables
--   hx_ai        reads
--   hx_readonly  reads
-- The logins are the operator's: the one that migrates becomes a member of all four here, the one
-- that serves a member of hx_app by `hustlexp migrate` (sql/service_login.py).
do $$
declare
    wanted text;
    -- from PostgreSQL 16 on who made a role administers it, and may still be unable to act as it
    to_act text := case
        when current_setting('server_version_num')::integer >= 160000 then 'set' else 'member'
    end;
begin
    foreach wanted in array array['hx_owner', 'hx_app', 'hx_ai', 'hx_readonly'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin', wanted);
            exception when duplicate_object or unique_violation then
                null;  -- another database of this cluster is being migrated at this moment
            end;
        end if;
        if current_user <> wanted and not pg_has_role(current_user, wanted, to_act) then
            execute format('grant %I to current_user', wanted);
        end if;
    end loop;
    if not has_schema_privilege('hx_owner', 'public', 'create') then
        grant all on schema public to hx_owner;
    end if;
    -- of tables that are cut by time (ADR 0024); only their parents are granted to anybody
    if to_regnamespace('partitions') is null then
        create schema partitions authorization hx_owner;
    end if;
    -- as a database that came from PostgreSQL 14 has it; hx_owner itself may not revoke it there
    if has_schema_privilege('public', 'public', 'create') then
        revoke create on schema public from public;
    end if;
end;
$$;
