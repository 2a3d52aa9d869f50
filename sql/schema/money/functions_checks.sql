-- What the checks of the tables of money ask.

-- One fee on what is released, floored to a cent (design §2, Money).
create or replace function platform_fee_cents(released integer) returns integer
language sql immutable return (released::bigint * platform_fee_percent() / 100)::integer;
-- What a dispute at the provider is, from when each thing was last told of it by the events' own
-- times. The order in which they arrive does not matter: only `won` and a closed inquiry free the
-- money, and only until something later is told; an inquiry takes none.
create or replace function chargeback_state(
    inquiry timestamptz, closed timestamptz, disputed timestamptz, won timestamptz, lost timestamptz
) returns text
language sql immutable
return case
    when coalesce(disputed, won, lost) is null then
        case when closed >= coalesce(inquiry, closed) then 'CLOSED' else 'INQUIRY' end
    when lost >= coalesce(greatest(won, closed), lost) then 'LOST'
    when greatest(won, closed) >= coalesce(disputed, greatest(won, closed)) then 'WON'
    else 'OPEN'
end;
