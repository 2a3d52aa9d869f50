-- What a new connection does before its first use.
-- Plans what a first card and an answer to it wait for, which takes longer than doing it: each function is
-- called for nobody, as far as it goes. Whatever a call were to write is undone with it; returned is how
-- each ended: P0001 where it went through, else the SQLSTATE of its refusal.
create or replace function warm_connection() returns text[]
language plpgsql
set plan_cache_mode = 'force_generic_plan'
as $$
declare
    nobody uuid := '00000000-0000-0000-0000-000000000000';
    ended text[] := '{}';
    call integer;
begin
    for call in 1 .. 5 loop
        begin
            case call
                when 1 then
                    perform from roster(array[nobody]);
                    perform make_offers(array[nobody], array[nobody], '{1}', '{1}', '{0.5}', 0);
                    perform broadcast_params(null::live_broadcasts, null::tasks);
                    perform append_events('[]');
                when 2 then perform begin_funding(nobody, nobody);
                when 3 then perform book_funding(nobody, null, '{}');
                when 4 then perform accept_task(nobody, nobody, null);
                else perform respond_to_offer(nobody, nobody, 'DECLINE', null);
            end case;
            raise exception 'undone';
        exception when others then
            ended := ended || sqlstate::text;
        end;
    end loop;
    return ended;
end;
$$;
