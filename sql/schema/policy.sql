-- The numbers of the product, each once: rules, checks and cards ask these functions.
--
-- A number is an immutable function, which the planner puts into a plan as a constant. The comment says
-- what it is and where it comes from; the unit is in the name, or it is an interval. The page of all is
-- drawn from here (sql/policy.py), and Python reads its own from here (engine/kernel/policy.py).

-- ── Prices and fees ─────────────────────────────────────────────────────────────────────────────────
-- The least price of a task, and of what an escrow holds. (product_spec §17.1)
create or replace function task_price_min_cents() returns integer
language sql immutable return 500;

-- The least price of a LIVE task. (LIVE-2)
create or replace function live_price_min_cents() returns integer
language sql immutable return 1500;

-- The platform's share of what is released, floored to a cent. (product_spec §17.1)
create or replace function platform_fee_percent() returns integer
language sql immutable return 15;

-- Fewer other tasks of a category make no market price. (design §2)
create or replace function market_tasks_min() returns integer
language sql immutable return 20;

-- The market price is the mean of so many, the newest. (design §2)
create or replace function market_tasks_max() returns integer
language sql immutable return 200;

-- How long another price waits for its payment. (design §2)
create or replace function replacement_payment_window() returns interval
language sql immutable return interval '15 minutes';

-- Funds held for so long come before an admin. (design §2)
create or replace function held_funds_alert_after() returns interval
language sql immutable return interval '60 days';


-- ── Tasks ───────────────────────────────────────────────────────────────────────────────────────────
-- The longest title of a task. (contract)
create or replace function task_title_chars_max() returns integer
language sql immutable return 200;

-- The longest reason of a dispute or of an admin's act. (contract)
create or replace function reason_chars_max() returns integer
language sql immutable return 2000;

-- A deadline lies no farther ahead. (contract)
create or replace function task_deadline_max() returns interval
language sql immutable return interval '1 year';

-- A task that is not funded by then is cancelled. (design §2)
create or replace function funding_window() returns interval
language sql immutable return interval '24 hours';

-- A poster's time to choose after a broadcast that nobody accepted. (design §2)
create or replace function choice_window() returns interval
language sql immutable return interval '24 hours';

-- After the broadcast's end. (design §2)
create or replace function choice_first_reminder() returns interval
language sql immutable return interval '1 hour';

-- After the broadcast's end. (design §2)
create or replace function choice_last_reminder() returns interval
language sql immutable return interval '23 hours';

-- A task given back within this time of its accept is no abandonment. (design §2)
create or replace function free_release_window() returns interval
language sql immutable return interval '60 seconds';

-- A hustler this near to the task has arrived. (design §2)
create or replace function arrival_radius_m() returns double precision
language sql immutable return 150;

-- An older position is no evidence of an arrival. (design §2)
create or replace function arrival_fix_age_max() returns interval
language sql immutable return interval '5 minutes';

-- A hustler who has not come so long after the ETA is a no-show. (design §2)
create or replace function no_show_grace() returns interval
language sql immutable return interval '15 minutes';

-- After the accept, where there is neither an ETA nor a deadline. (design §2)
create or replace function arrival_expected_within() returns interval
language sql immutable return interval '24 hours';

-- So many wrong codes lock the code. (design §2)
create or replace function code_tries_max() returns integer
language sql immutable return 5;

-- For how long a code is locked. (design §2)
create or replace function code_lock() returns interval
language sql immutable return interval '15 minutes';

-- Work under way without a proof for so long comes before an admin. (design §2)
create or replace function work_stale_after() returns interval
language sql immutable return interval '24 hours';


-- ── Photos and proofs ───────────────────────────────────────────────────────────────────────────────
-- Photos of one proof, or of one piece of evidence. (product_spec §6.2)
create or replace function photos_max() returns integer
language sql immutable return 5;

-- The largest photo: 10 MiB. (product_spec §6.3)
create or replace function photo_bytes_max() returns integer
language sql immutable return 10485760;

-- Photos of one user that wait for their use. (contract)
create or replace function unused_photos_max() returns integer
language sql immutable return 20;

-- An unused photo is given up after this time. (contract)
create or replace function photo_usable_for() returns interval
language sql immutable return interval '24 hours';

-- A photo from so long before the accept or after the proof is still in time. (design §2)
create or replace function photo_time_slack() returns interval
language sql immutable return interval '5 minutes';

-- A photo taken within this distance was taken at the place. (design §2)
create or replace function photo_near_miles() returns double precision
language sql immutable return 0.25;

-- Silence for this long counts as an approval. (product_spec §6.4)
create or replace function review_window() returns interval
language sql immutable return interval '48 hours';

-- After the proof was submitted. (design §2)
create or replace function review_first_reminder() returns interval
language sql immutable return interval '24 hours';

-- Before the review's end. (design §2)
create or replace function review_last_reminder() returns interval
language sql immutable return interval '4 hours';

-- So many rejections of one task's proofs open a dispute. (design §2)
create or replace function rejections_max() returns integer
language sql immutable return 3;


-- ── Disputes ────────────────────────────────────────────────────────────────────────────────────────
-- The time for evidence before an admin has to decide. (design §2)
create or replace function evidence_window() returns interval
language sql immutable return interval '72 hours';

-- Pieces of evidence of one side. (contract)
create or replace function evidence_max() returns integer
language sql immutable return 20;

-- The longest text of a piece of evidence. (contract)
create or replace function evidence_chars_max() returns integer
language sql immutable return 5000;


-- ── LIVE mode ───────────────────────────────────────────────────────────────────────────────────────
-- LIVE time in one piece, before a rest. (product_spec §3.5)
create or replace function live_shift() returns interval
language sql immutable return interval '4 hours';

-- LIVE time after which the hustler is warned. (product_spec §3.5)
create or replace function live_shift_warning() returns interval
language sql immutable return interval '3 hours';

-- The rest after a shift, and the time off that begins a new one. (product_spec §3.5)
create or replace function live_rest() returns interval
language sql immutable return interval '30 minutes';

-- From switching LIVE mode on to switching it on again. (HX904)
create or replace function live_toggle_gap() returns interval
language sql immutable return interval '5 minutes';

-- So many accepts of one session bring a cooldown. (product_spec §3.5)
create or replace function accepts_before_cooldown() returns integer
language sql immutable return 2;

-- That cooldown. (product_spec §3.5)
create or replace function accept_cooldown() returns interval
language sql immutable return interval '15 minutes';

-- So many declines without an accept bring a pause. (design §2)
create or replace function declines_before_pause() returns integer
language sql immutable return 5;

-- That pause. (design §2)
create or replace function decline_pause() returns interval
language sql immutable return interval '30 minutes';

-- Open STANDARD tasks in one hustler's hands. (design §2)
create or replace function standard_tasks_max() returns integer
language sql immutable return 5;

-- The least radius that a hustler may set. (design §2)
create or replace function radius_miles_min() returns integer
language sql immutable return 1;

-- The largest radius of a hustler or a broadcast: cells cover no more. (design §2)
create or replace function radius_miles_max() returns integer
language sql immutable return 25;

-- The speed in town that an ETA is reckoned with. (design §2)
create or replace function eta_speed_mph() returns double precision
language sql immutable return 25;

-- Road miles to one mile of the straight line, in an ETA. (design §2)
create or replace function eta_detour() returns double precision
language sql immutable return 1.4;

-- A yes counts for an accept within this time. (LIVE-7)
create or replace function consent_window() returns interval
language sql immutable return interval '10 seconds';

-- A card that could be answered for this long and was not counts as no response. (design §2)
create or replace function no_response_after() returns interval
language sql immutable return interval '120 seconds';


-- ── The LIVE record ─────────────────────────────────────────────────────────────────────────────────
-- LIVE tasks from which on the completion rate is judged. (design §2)
create or replace function live_record_tasks_min() returns integer
language sql immutable return 10;

-- A completion rate below this brings a pause. (product_spec §3.6)
create or replace function live_rate_pause_percent() returns integer
language sql immutable return 80;

-- That pause. (product_spec §3.6)
create or replace function live_rate_pause() returns interval
language sql immutable return interval '7 days';

-- A completion rate below this brings a ban. (product_spec §3.6)
create or replace function live_rate_ban_percent() returns integer
language sql immutable return 70;

-- That ban. (product_spec §3.6)
create or replace function live_rate_ban() returns interval
language sql immutable return interval '30 days';

-- So many abandoned LIVE tasks within the window bring a ban. (docs/progress.md)
create or replace function live_abandonments_max() returns integer
language sql immutable return 2;

-- That window. (docs/progress.md)
create or replace function live_abandonments_window() returns interval
language sql immutable return interval '30 days';

-- That ban. (docs/progress.md)
create or replace function live_abandonments_ban() returns interval
language sql immutable return interval '7 days';

-- So many LIVE tasks given back at once within the window bring a pause. (design §2)
create or replace function quick_releases_max() returns integer
language sql immutable return 3;

-- That window. (design §2)
create or replace function quick_releases_window() returns interval
language sql immutable return interval '24 hours';

-- That pause. (design §2)
create or replace function quick_releases_pause() returns interval
language sql immutable return interval '30 minutes';

-- So many sessions with impossible positions within the window ban from LIVE mode. (architecture §10.7)
create or replace function impossible_sessions_max() returns integer
language sql immutable return 3;

-- That window. (architecture §10.7)
create or replace function impossible_sessions_window() returns interval
language sql immutable return interval '30 days';

-- The longest ban by an admin. (contract)
create or replace function admin_ban_max() returns interval
language sql immutable return interval '10 years';

-- The longest cooldown by an admin. (contract)
create or replace function admin_cooldown_max() returns interval
language sql immutable return interval '7 days';


-- ── XP ──────────────────────────────────────────────────────────────────────────────────────────────
-- What each day of a streak adds to its multiplier. (product_spec §5.2)
create or replace function streak_xp_step() returns numeric
language sql immutable return 0.05;

-- The largest multiplier of a streak. (product_spec §5.2)
create or replace function streak_xp_max() returns numeric
language sql immutable return 2.00;

-- Tier 1. (design §2)
create or replace function rookie_xp_multiplier() returns numeric
language sql immutable return 1.0;

-- Tier 2. (design §2)
create or replace function verified_xp_multiplier() returns numeric
language sql immutable return 1.5;

-- Tiers 3 and 4. (product_spec §8.2)
create or replace function trusted_xp_multiplier() returns numeric
language sql immutable return 2.0;

-- STANDARD tasks. (product_spec §3.6)
create or replace function standard_xp_multiplier() returns numeric
language sql immutable return 1.00;

-- LIVE tasks. (product_spec §3.6)
create or replace function live_xp_multiplier() returns numeric
language sql immutable return 1.25;


-- ── Trust ───────────────────────────────────────────────────────────────────────────────────────────
-- Trust points of a completed STANDARD task. (product_spec §3.6)
create or replace function completion_points() returns numeric
language sql immutable return 1;

-- Trust points of a completed LIVE task. (product_spec §3.6)
create or replace function live_completion_points() returns numeric
language sql immutable return 1.5;

-- Added where the work was quick, STANDARD. (product_spec §3.6)
create or replace function quick_completion_points() returns numeric
language sql immutable return 0.5;

-- Added where the work was quick, LIVE. (product_spec §3.6)
create or replace function live_quick_completion_points() returns numeric
language sql immutable return 1;

-- Work is quick from the start to the proof within this time. (product_spec §3.6)
create or replace function quick_completion_within() returns interval
language sql immutable return interval '30 minutes';

-- Trust points of an abandoned STANDARD task. (product_spec §3.6)
create or replace function abandonment_points() returns numeric
language sql immutable return -2;

-- Trust points of an abandoned LIVE task. (product_spec §3.6)
create or replace function live_abandonment_points() returns numeric
language sql immutable return -4;

-- Without a completed task a tier is lost after this time. (architecture §4.3)
create or replace function trust_decay_after() returns interval
language sql immutable return interval '90 days';

-- No promotion so soon after a penalty, or after an admin lowered the tier. (architecture §4.3)
create or replace function promotion_bar() returns interval
language sql immutable return interval '30 days';

-- So many abandonments within the window are a penalty. (architecture §4.3)
create or replace function penalty_abandonments() returns integer
language sql immutable return 3;

-- That window. (architecture §4.3)
create or replace function penalty_abandonments_window() returns interval
language sql immutable return interval '30 days';

-- So many lost disputes within the window are a penalty. (architecture §4.3)
create or replace function penalty_disputes() returns integer
language sql immutable return 2;

-- That window. (architecture §4.3)
create or replace function penalty_disputes_window() returns interval
language sql immutable return interval '90 days';


-- ── What an admin sees as stuck ─────────────────────────────────────────────────────────────────────
-- Money that has not moved. (docs/admin.md)
create or replace function stuck_settlement_after() returns interval
language sql immutable return interval '1 hour';

-- A hustler who came and did not start. (docs/admin.md)
create or replace function stuck_arrival_after() returns interval
language sql immutable return interval '24 hours';

-- A no-show that its poster did not cancel. (docs/admin.md)
create or replace function stuck_no_show_after() returns interval
language sql immutable return interval '2 hours';

-- A review past its end. (docs/admin.md)
create or replace function stuck_review_after() returns interval
language sql immutable return interval '1 hour';

-- A choice or a deadline past its end. (docs/admin.md)
create or replace function stuck_timer_after() returns interval
language sql immutable return interval '10 minutes';
