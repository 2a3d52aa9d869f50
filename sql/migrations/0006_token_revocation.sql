-- Since when an account's tokens are refused, and how every process is told (ADR 0027).

alter table users add column tokens_revoked_at timestamptz;

alter table changes drop constraint changes_kind;
alter table changes add constraint changes_kind check (
    kind in ('HUSTLER', 'BROADCAST', 'SUSPENDED', 'REVOKED')
);
create index changes_shut_by_xid on changes (xid) where kind in ('SUSPENDED', 'REVOKED');

-- Another result: its file makes it anew.
drop function if exists user_for(text, text, text, text);
