-- What the command line asks, as the owner (gateway/cli).

-- name: vouch_for_user
-- `hustlexp token`: verified, and in the role that was asked for
update users as u
set
    role = $2,
    first_name = $3,
    account_status = 'ACTIVE',
    identity_verified_at = coalesce(u.identity_verified_at, hx_clock()),
    trust_tier = greatest(u.trust_tier, 2)
where u.id = $1;

-- name: vouch_for_hustler
-- able to work: insured, checked, with a few trades; a place only where one was given
update hustler_profiles as p
set
    version = p.version + 1,
    insurance_valid = true,
    background_check_valid = true,
    verified_trades = $2,
    home_lat = coalesce($3, p.home_lat),
    home_lng = coalesce($4, p.home_lng)
where p.user_id = $1;

-- name: advance_clock
-- the clock of this database is ahead of the wall clock by the amount returned
insert into clock_offset as c (amount) values ($1::interval)
on conflict (singleton) do update set amount = c.amount + excluded.amount
returning c.amount;

-- name: clock_offset
select coalesce((select c.amount from clock_offset as c), interval '0');

-- name: server_facts
-- max_connections counts the places kept for superusers too
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::integer as version_number,
    current_setting('max_connections')::integer as max_connections,
    current_setting('max_prepared_transactions')::integer as max_prepared_transactions,
    current_setting('fsync') as fsync;
