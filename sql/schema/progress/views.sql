-- Badges and XP as they are shown.

create or replace function badge_view(b badges) returns jsonb
language sql stable
return jsonb_build_object(
    'id', b.id,
    'badge_type', b.badge_type,
    'title', (select t.title from badge_types as t where t.badge_type = b.badge_type),
    'granted_at', b.granted_at,
    'animation_shown_at', b.animation_shown_at
);

create or replace function xp_view(x xp_ledger) returns jsonb
language sql stable
return jsonb_build_object(
    'id', x.id, 'user_id', x.user_id, 'task_id', x.task_id, 'escrow_id', x.escrow_id,
    'effective_xp', x.effective_xp, 'total_xp', x.user_xp_after, 'created_at', x.created_at,
    'flag', (
        select jsonb_build_object(
            'flagged_by', f.flagged_by, 'reason', f.reason, 'flagged_at', f.flagged_at
        )
        from xp_flags as f where f.ledger_id = x.id
    )
);
