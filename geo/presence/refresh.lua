-- The keep-alives of one partition: moves last-seen to now, and nothing else.
--
-- KEYS 2c − 1 the hash of cell c, 2c its index by time
-- ARGV 1 keep-alives of 26 bytes: 1 hustler   17 generation   25 its cell c
-- Returns a letter for each: '1' done, '-' when this generation has no record there.

local keep_alives = ARGV[1]

local function refreshed(at)
  local generation, to = unpack('<I8I2', keep_alives, at + 16)
  local id = sub(keep_alives, at, at + 15)
  local cell = KEYS[2 * to - 1]
  local record = call('HGET', cell, id)
  if not record then return '-' end
  local its_generation, _, _, seen_before, lag_before = unpack('<I8I4I8I8I2', record, 33)
  if its_generation ~= generation then return '-' end
  local lag = lag_of(cell, KEYS[2 * to], id, seen_before, lag_before)
  call('HSET', cell, id, sub(record, 1, 52) .. pack('<I8I2', now, lag))
  return '1'
end

local results = {}
for at = 1, #keep_alives, 26 do
  results[#results + 1] = refreshed(at)
end
return table.concat(results)
