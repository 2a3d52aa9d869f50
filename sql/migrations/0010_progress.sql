-- XP.
create function award_xp(p_escrow uuid) returns jsonb language sql return '[]'::jsonb;
