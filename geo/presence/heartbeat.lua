-- The heartbeats of one partition, in one atomic step: each enters a cell, stays in it, or moves over.
-- In place, and with the index by time younger than 5 s, it is one read and one write of the hash.
--
-- KEYS 2c − 1 the hash of cell c (hustler → record), 2c its index by time (hustler → last seen, ms)
-- ARGV 1 heartbeats of 53 bytes:
--      1 hustler   17 latitude, longitude   33 generation   41 seq, as a record begins
--      45 age of the fix in ms   49 its cell c   51 the cell c left behind, or 0
--      53 1 when the hustler must be found where it comes from
-- Returns '' when all are written; else a letter for each: '1' written, '0' something newer stands
-- there, '-' not found.

local heartbeats, keys = ARGV[1], KEYS

local function is_newer(record, generation, seq)
  if not record then return false end
  local its_generation, its_seq = unpack('<I8I4', record, 33)
  return its_generation > generation or (its_generation == generation and its_seq > seq)
end

-- Writes a heartbeat that comes into a cell, from another one or from nowhere; returns its letter.
local function entered(at, id, here, to, from)
  local generation, seq, age = unpack('<I8I4I4', heartbeats, at + 32)
  local there = from > 0 and call('HGET', keys[2 * from - 1], id)
  if is_newer(here, generation, seq) or is_newer(there, generation, seq) then return '0' end
  if not there and string.byte(heartbeats, at + 52) == 1 then return '-' end
  local cell, seen = keys[2 * to - 1], keys[2 * to]
  call('HSET', cell, id, sub(heartbeats, at, at + 43) .. pack('<I8I8I2', now - age, now, 0))
  index(cell, seen, id)
  if there then
    call('HDEL', keys[2 * from - 1], id)
    call('ZREM', keys[2 * from], id)
  end
  return '1'
end

-- The usual one is found where it is to stay, and is dealt with in the loop itself.
local letters, all = {}, true
for at = 1, #heartbeats, 53 do
  local generation, seq, age, to, from = unpack('<I8I4I4I2I2', heartbeats, at + 32)
  local id = sub(heartbeats, at, at + 15)
  local cell = keys[2 * to - 1]
  local here = call('HGET', cell, id)
  local letter = '1'
  if not here or from > 0 then
    letter = entered(at, id, here, to, from)
  else
    local its_generation, its_seq, _, seen_before, lag_before = unpack('<I8I4I8I8I2', here, 33)
    if its_generation > generation or (its_generation == generation and its_seq > seq) then
      letter = '0'
    else
      local lag = lag_of(cell, keys[2 * to], id, seen_before, lag_before)
      local times = pack('<I8I8I2', now - age, now, lag)
      call('HSET', cell, id, sub(heartbeats, at, at + 43) .. times)
    end
  end
  if letter ~= '1' then
    letters[(at + 52) / 53] = letter
    all = false
  end
end
if all then return '' end
local result = {}
for n = 1, #heartbeats / 53 do result[n] = letters[n] or '1' end
return table.concat(result)
