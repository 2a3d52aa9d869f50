-- Routines that answered for one user each: those that answer for many are made by their files.
drop function user_snapshot(uuid);
drop function tasks_view(uuid);
drop function if exists user_for(text, text, text, text);
