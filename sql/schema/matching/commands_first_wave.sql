-- The first wave: it rides in the transaction that starts its broadcast.
-- The candidates, where they were found for the task as it is now; null where its terms have changed since,
-- and with them, perhaps, its place.
create or replace function current_wave(p_wave jsonb, t tasks) returns jsonb
language sql immutable
return case when p_wave -> 'version' = to_jsonb(t.version) then p_wave end;

-- Offers the new broadcast to the candidates by the rules of every wave (make_offers) and answers like it;
-- null where there are none. p_wave: {open_offers_max, hustlers, exact_miles, place_miles, scores}, the
-- arrays parallel. Whatever is wrong with a candidate, the money stands: what raises is undone, said in
-- the server's log, and left to the broadcaster, whose next look makes the wave.
create or replace function first_wave(b live_broadcasts, p_wave jsonb) returns jsonb
language plpgsql
as $$
declare
    w record;
begin
    if p_wave is null then
        return null;
    end if;
    begin
        select * into w from jsonb_to_record(p_wave) as r (
            open_offers_max integer, hustlers uuid[], exact_miles double precision[],
            place_miles double precision[], scores double precision[]
        );
        if coalesce(cardinality(w.hustlers), 0) = 0 then
            return null;
        end if;
        return make_offers(
            array_fill(b.id, array[cardinality(w.hustlers)]), w.hustlers, w.exact_miles, w.place_miles,
            w.scores, w.open_offers_max
        );
    exception when others then
        raise warning 'no first wave for broadcast %: % %', b.id, sqlstate, sqlerrm;
        return null;
    end;
end;
$$;

-- What a command answers as `started`: of no broadcast nothing, else all that its broadcaster needs to go
-- on without a question. The first wave is offered in here, so that the event after it counts it.
create or replace function started_broadcast(b live_broadcasts, t tasks, p_wave jsonb) returns jsonb
language plpgsql
as $$
begin
    if b.id is null then
        return '[]';
    end if;
    return jsonb_build_array(jsonb_build_object(
        'params', broadcast_params(b, t),
        'now', hx_clock(),
        'wave', first_wave(b, p_wave)
    ));
end;
$$;
