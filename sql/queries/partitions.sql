-- What `hustlexp doctor` asks about the partitions of tables that are cut by time.

-- name: partitions_missing
-- of this month and the next
select d.parent || to_char(d.month, ' YYYY-MM') as missing
from partitions_due() as d
where d.month <= month_of(hx_clock() + interval '1 month')
order by 1;

-- name: default_partition_rows
select d.parent, d.waiting from default_partition_rows() as d where d.waiting > 0 order by 1;
