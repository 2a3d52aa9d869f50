-- The heartbeats of one partition, in one atomic step: each enters a cell, stays in it, or moves over.
-- In place, and with the index by time younger than 5 s, it is one read and one write of the hash.
--
-- KEYS 2c − 1 the hash of cell c (hustler → record), 2c its index by time (hustler → last seen, ms)
-- ARGV 1 heartbeats of 53 bytes:
--      1 hustler   17 latitude, longitude   33 generation   41 seq, as a record begins
--      45 age of the fix in ms   49 its cell c   51 the cell c left behind, or 0
--      53 1 when the hustler must be found where it comes from
-- Returns a letter for each: '1' written, '0' something newer stands there, '-' not found.

local heartbeats, keys = ARGV[1], KEYS

-- Returns whether a record is of a later (generation, seq), and its times for the index.
local function compared(record, generation, seq)
  local its_generation, its_seq, _, seen_before, lag_before = unpack('<I8I4I8I8I2', record, 33)
  local is_newer = its_generation > generation or (its_generation == generation and its_seq > seq)
  return is_newer, seen_before, lag_before
end

local function written(at)
  local generation, seq, age, to, from, must_be_found = unpack('<I8I4I4I2I2B', heartbeats, at + 32)
  local id = sub(heartbeats, at, at + 15)
  local cell, seen = keys[2 * to - 1], keys[2 * to]
  local here = call('HGET', cell, id)
  local found, is_newer, seen_before, lag_before = here, false, 0, 0
  if here then
    is_newer, seen_before, lag_before = compared(here, generation, seq)
    if is_newer then return '0' end
  end
  if from > 0 then
    found = call('HGET', keys[2 * from - 1], id)
    if found and compared(found, generation, seq) then return '0' end
  end
  if must_be_found == 1 and not found then return '-' end

  local lag = 0
  if here then lag = lag_of(cell, seen, id, seen_before, lag_before) end
  call('HSET', cell, id, sub(heartbeats, at, at + 43) .. pack('<I8I8I2', now - age, now, lag))
  if not here then index(cell, seen, id) end
  if from > 0 then
    call('HDEL', keys[2 * from - 1], id)
    call('ZREM', keys[2 * from], id)
  end
  return '1'
end

local results = {}
for at = 1, #heartbeats, 53 do
  results[#results + 1] = written(at)
end
return table.concat(results)
