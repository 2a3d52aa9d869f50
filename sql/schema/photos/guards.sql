-- The guard of a photo.

-- HX801: an upload stays what it was; it is used once, and deleted only while unused.
create or replace function upload_guard() returns trigger
language plpgsql
as $$
declare
    before uploads := old;
begin
    if old.used_at is null and tg_op = 'DELETE' then
        return old;
    end if;
    if tg_op = 'UPDATE' then
        before.used_at := new.used_at;
        if old.used_at is null and before is not distinct from new then
            return new;
        end if;
    end if;
    perform hx_refuse('HX801', 'AUDIT-5');
    return null;
end;
$$;

create or replace trigger upload_guard before update or delete on uploads
for each row execute function upload_guard();
