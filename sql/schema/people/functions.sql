-- Who may post, work and decide.

-- Whether somebody's account is open: neither shut by an admin nor at rest.
create or replace function account_is_active(p_user uuid) returns boolean
language sql stable
return exists (select from users as u where u.id = p_user and u.account_status = 'ACTIVE');

-- An admin neither posts nor works: who decides about tasks has none of their own (OWN-CASE).
create or replace function may_post(role text) returns boolean
language sql immutable return role in ('poster', 'dual');

create or replace function is_admin(p_user uuid) returns boolean
language sql stable
return exists (select from users as u where u.id = p_user and u.role = 'admin');

create or replace function may_work(role text) returns boolean
language sql immutable return role in ('hustler', 'dual');
