-- Routines with another signature: their files make them anew.
drop function book_funding(uuid, text, jsonb);
drop function book_replacement(tasks, escrows, text, jsonb);
drop function apply_provider_fact(jsonb, jsonb);
drop function book_provider_event(text, text, jsonb, jsonb);
drop function release_task(uuid, uuid, text, jsonb);
