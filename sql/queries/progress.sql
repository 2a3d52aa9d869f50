-- XP, streak, trust and badges of the caller (docs/progress.md).

-- name: progress_view
select jsonb_build_object(
    'total_xp', u.total_xp,
    'level', l.level,
    'level_title', l.title,
    'next_level_xp', (select min(n.xp_required) from levels as n where n.level > l.level),
    'streak_days', streak_now(u.id, now.at),
    'streak_ends_at', streak_until(u.id, now.at),
    'time_zone', p.time_zone,
    'trust_tier', u.trust_tier,
    'trust_name', t.name,
    'trust_points', u.trust_points,
    'next_tier', (
        select jsonb_build_object(
            'tier', n.tier,
            'name', n.name,
            'criteria', (
                select jsonb_agg(jsonb_build_object(
                    'criterion', k.criterion,
                    'required', k.required,
                    'reached', k.reached,
                    'is_met', k.reached >= k.required
                ) order by k.criterion)
                from tier_criteria(u.id) as k where k.tier = n.tier
            )
        )
        from trust_tiers as n where n.tier = u.trust_tier + 1
    ),
    'badges', (
        select coalesce(jsonb_agg(badge_view(b) order by b.granted_at, b.badge_type), '[]')
        from badges as b where b.user_id = u.id and b.revoked_at is null
    ),
    'recent_awards', (
        select coalesce(jsonb_agg(jsonb_build_object(
            'task_id', x.task_id,
            'xp', x.effective_xp,
            'base_xp', x.base_xp,
            'streak_multiplier', x.streak_multiplier,
            'trust_multiplier', x.trust_multiplier,
            'live_multiplier', x.live_multiplier,
            'total_xp', x.user_xp_after,
            'level', x.user_level_after,
            'streak_days', x.user_streak_at_award,
            'at', x.created_at
        ) order by x.user_xp_after desc, x.created_at desc), '[]')
        from (
            select a.* from xp_ledger as a
            where a.user_id = u.id
            order by a.user_xp_after desc, a.created_at desc
            limit 20
        ) as x
    ),
    'live_record', (select to_jsonb(r) from live_record(u.id) as r)
)
from users as u
inner join progress as p on p.user_id = u.id
inner join levels as l on l.level = level_of(u.total_xp)
inner join trust_tiers as t on t.tier = u.trust_tier
cross join (select hx_clock() as at) as now
where u.id = $1;

-- name: badge_view
select badge_view(b) from badges as b where b.id = $1;

