-- The guard of a price proposal.

-- HX010: a proposal moves along the lifecycle and stays what it proposed; AGREED names the
-- replacement that waits for its payment, APPLIED the same one, paid.
create or replace function proposal_guard() returns trigger
language plpgsql
as $$
begin
    if tg_op = 'INSERT' then
        if new.state <> 'OPEN' or new.escrow_id is not null or not exists (
            select from tasks as t
            where t.id = new.task_id and t.state = 'ACCEPTED' and t.started_at is null
                and new.proposer_id in (t.poster_id, t.assigned_hustler_id)
        ) then
            perform hx_refuse('HX010', 'PROPOSAL');
        end if;
        return new;
    end if;
    if (old.id, old.task_id, old.proposer_id, old.price)
        is distinct from (new.id, new.task_id, new.proposer_id, new.price)
        or not lifecycle_allows('proposal', old.state, new.state)
        or old.state = 'AGREED' and old.escrow_id <> new.escrow_id
        or new.state in ('AGREED', 'APPLIED') and not exists (
            select from escrows as e
            where e.id = new.escrow_id and e.task_id = new.task_id and e.amount = new.price
                and e.replaces is not null
                and e.state = case new.state when 'AGREED' then 'PENDING' else 'FUNDED' end
        )
    then
        perform hx_refuse('HX010', 'PROPOSAL');
    end if;
    return new;
end;
$$;

create or replace trigger proposal_guard before insert or update on price_proposals
for each row execute function proposal_guard();
