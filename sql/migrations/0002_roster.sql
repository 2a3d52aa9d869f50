-- Routines with another result, or given up: their files make anew what is left of them.
drop function wave_broadcasts(uuid[]);
drop function market_price_cents(tasks);
drop function wave_eligibility(uuid[], uuid[], double precision[]);
drop function wave_poll(interval, integer);
