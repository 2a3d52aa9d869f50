-- Trust.
create function note_completed(p_task uuid) returns jsonb language sql return '[]'::jsonb;
create function note_lost(p_task uuid) returns jsonb language sql return '[]'::jsonb;
create function note_given_up(p_task uuid, p_kind text, p_at timestamptz) returns jsonb
language sql return '[]'::jsonb;
create function fire_trust_review(p_user uuid) returns jsonb language sql return '[]'::jsonb;
