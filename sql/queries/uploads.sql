-- Uploaded photos: taken in, shown to who may see them, swept when nobody used them.

-- name: visible_upload
-- $1 viewer, $2 upload: for its uploader, admins, and both sides of the task whose proof or dispute
-- has it. No row for anybody else.
select u.storage_key, u.content_type
from uploads as u
where u.id = $2
    and (
        u.user_id = $1
        or is_admin($1)
        or exists (
            select from proof_photos as f
            inner join proofs as p on p.id = f.proof_id
            inner join tasks as t on t.id = p.task_id
            where f.upload_id = u.id and $1 in (t.poster_id, t.assigned_hustler_id)
        )
        or exists (
            select from evidence as v
            inner join disputes as d on d.id = v.dispute_id
            inner join tasks as t on t.id = d.task_id
            where v.upload_ids @> array[u.id] and $1 in (t.poster_id, t.assigned_hustler_id)
        )
    );

-- name: stale_uploads
-- A quarter of an hour after the last moment at which one could be used (use_uploads), so that no
-- transaction which takes it is still under way.
select id, storage_key from uploads
where used_at is null and created_at < hx_clock() - interval '24 hours 15 minutes'
order by created_at
limit $1;

-- name: drop_upload
-- no row where somebody holds it, or has used it meanwhile
delete from uploads as u
where u.id in (
    select f.id from uploads as f where f.id = $1 and f.used_at is null for update skip locked
)
returning u.id;
