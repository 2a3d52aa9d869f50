-- What a broadcaster asks (broadcast/wave_store.py). The rules stand in sql/schema/matching/.

-- name: roster
select * from roster($1);

-- name: offered_hustlers
select * from offered_hustlers($1);
