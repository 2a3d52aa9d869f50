-- What every subject leans on: clock, texts of people, refusals, legal steps.

-- ── Clock ───────────────────────────────────────────────────────────────────────────────────────
create or replace function hx_clock() returns timestamptz
language sql volatile
return clock_timestamp() + coalesce((select c.amount from clock_offset as c), interval '0');
comment on function hx_clock() is
'The clock that decides. Rules read it after taking their locks.';

-- ── Ids ─────────────────────────────────────────────────────────────────────────────────────────
-- A new id: UUID version 7 (RFC 9562) of the clock that decides. 48 bits of milliseconds, then twelve
-- of their fraction (§6.2, method 3), so that one session's ids ascend; the rest is random. One
-- expression with the time in it once, so that it is inlined into the insert.
create or replace function hx_id() returns uuid
language sql volatile
return (
    overlay(
        lpad(to_hex((extract(epoch from hx_clock()) * 4096000)::bigint), 15, '0') placing '7' from 13 for 0
    ) || substr(gen_random_uuid()::text, 20)
)::uuid;

-- The least id of a moment, and the moment of an id, to the millisecond.
create or replace function id_floor(at timestamptz) returns uuid
language sql immutable
return rpad(lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0'), 32, '0')::uuid;

create or replace function id_time(id uuid) returns timestamptz
language sql immutable
return to_timestamp(
    ('x' || left(translate(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0
);

-- A time as every message writes it (gateway/contract/encoding.py): for facts without a type of their own.
create or replace function wire_time(p_at timestamptz) returns text
language sql stable
return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- ── Texts of people ─────────────────────────────────────────────────────────────────────────────
-- Whether a text shows something, and holds no control character but tab and new line and nothing
-- that turns the direction of the text around it. Twin of gateway/contract/fields.py; a test holds them
-- equal.
create or replace function visible_text(p_text text) returns boolean
language sql immutable
return
    p_text ~ (
        '[^\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5'
        || '\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164'
        || '\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U0001bca0-\U0001bca3'
        || '\U0001d173-\U0001d17a\U000e0000-\U000e0fff\u0300-\u036f\u1ab0-\u1aff'
        || '\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]'
    )
    and replace(p_text, e'\r\n', e'\n') !~ (
        '[\u0001-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u206a-\u206f\ufff9-\ufffb'
        || '\ufffe\uffff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]'
    );

-- ── Errors ──────────────────────────────────────────────────────────────────────────────────────
-- DETAIL says in how many seconds it may be tried again, where waiting helps.
create or replace function hx_refuse(code text, invariant text, retry_at timestamptz default null)
returns void
language plpgsql
as $$
declare
    title text;
begin
    select c.title into title
    from error_catalogue as c
    where c.code = hx_refuse.code and c.invariant = hx_refuse.invariant;
    raise exception using
        errcode = hx_refuse.code,
        constraint = hx_refuse.invariant,
        message = coalesce(title, hx_refuse.code),
        detail = coalesce(
            case when isfinite(retry_at) then ceil(extract(epoch from retry_at - hx_clock())) end::text,
            ''
        );
end;
$$;

create or replace function hx_not_found() returns void
language plpgsql
as $$
begin
    raise exception using errcode = 'no_data_found', message = 'There is no such thing here.';
end;
$$;

-- ── Lifecycle ───────────────────────────────────────────────────────────────────────────────────
create or replace function lifecycle_allows(p_machine text, p_from text, p_to text) returns boolean
language sql stable
return exists (
    select from lifecycle as l
    where l.machine = p_machine and l.from_state = p_from and l.to_state = p_to
);

-- ── Distance ────────────────────────────────────────────────────────────────────────────────────
-- Miles between two points, as geo/distance.py has them: haversine on the mean sphere.
create or replace function miles_between(
    lat1 double precision, lng1 double precision, lat2 double precision, lng2 double precision
) returns double precision
language sql immutable strict
return 2 * 6371008.7714 / 1609.344 * asin(least(1, sqrt(
    sin(radians(lat2 - lat1) / 2) ^ 2
    + cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lng2 - lng1) / 2) ^ 2
)));
