-- Roles, logins and the empty database; run as superuser, once or again (it sets the passwords anew):
--   OWNER_PASSWORD=… SERVICE_PASSWORD=… psql --file deploy/logins.sql
-- The login hustlexp_migrator may act as hx_owner and runs `hustlexp migrate`; hustlexp_service has the
-- rights of hx_app and nothing else.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD
\set QUIET on

-- Roles first: a dump names them and does not hold them.
select format('create role %I nologin', wanted)
from unnest(array['hx_owner', 'hx_app', 'hx_ai', 'hx_readonly']) as wanted
where to_regrole(wanted) is null
\gexec
select format('create role %I login', wanted)
from unnest(array['hustlexp_migrator', 'hustlexp_service']) as wanted
where to_regrole(wanted) is null
\gexec
alter role hustlexp_migrator password :'owner_password';
alter role hustlexp_service password :'service_password';
grant hx_owner, hx_app, hx_ai, hx_readonly to hustlexp_migrator;
grant hx_app to hustlexp_service;

select 'create database hustlexp owner hx_owner template template0 encoding ''UTF8'''
where not exists (select from pg_database where datname = 'hustlexp')
\gexec
revoke all on database hustlexp from public;
grant connect on database hustlexp to hustlexp_migrator, hustlexp_service;

-- The service asks for these when it connects; a pooler may not pass that on, so the login has them too.
alter role hustlexp_service in database hustlexp set statement_timeout = '8s';
alter role hustlexp_service in database hustlexp set lock_timeout = '750ms';
alter role hustlexp_service in database hustlexp set idle_in_transaction_session_timeout = '10s';
alter role hustlexp_service in database hustlexp set timezone = 'UTC';
alter role hustlexp_service in database hustlexp set jit = off;
