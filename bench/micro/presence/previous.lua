-- The script of the previous way, a call for each heartbeat, as a peer to measure against.
--
-- One heartbeat, in one atomic step inside one partition: enter a cell, stay in it, or move over.
--
-- KEYS 1 the cell's hash (hustler → record), 2 its index by time (hustler → last seen, ms);
--      on a move within the partition also 3, 4: the same two of the cell left behind
-- ARGV 1 hustler, 16 bytes   2 position: latitude and longitude, float64 each
--      3 generation          4 seq          5 age of the fix in ms
--      6 '1' when the hustler must be found where it comes from (KEYS 3 or else 1)
-- Returns 1 written, 0 something newer stands there, -1 not found where it should be.
--
-- A record is 60 bytes, as RECORD in the record before has it. Any server clock but this one's is ignored.

local id, generation, seq = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])

local function is_newer(record)
  if not record then return false end
  local other_generation, other_seq = struct.unpack('<I8I4', record, 33)
  return other_generation > generation or (other_generation == generation and other_seq > seq)
end

local here = redis.call('HGET', KEYS[1], id)
local there = KEYS[3] and redis.call('HGET', KEYS[3], id)
if is_newer(here) or is_newer(there) then return 0 end
if ARGV[6] == '1' then
  local found = here
  if KEYS[3] then found = there end
  if not found then return -1 end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local record = id .. ARGV[2] .. struct.pack('<I8I4I8I8', generation, seq, now - ARGV[5], now)
redis.call('HSET', KEYS[1], id, record)
redis.call('ZADD', KEYS[2], now, id)
if KEYS[3] then
  redis.call('HDEL', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
end

-- Heartbeats that follow each other closely leave the upkeep of the cell to the first of them: both keys
-- then live 95 to 120 s after the last write, still longer than the 90 s that count as present.
if here and now - struct.unpack('<I8', here, 53) < 25000 then return 1 end
redis.call('EXPIRE', KEYS[1], 120)
redis.call('EXPIRE', KEYS[2], 120)
-- A cell that is never empty never expires; whoever fell silent in it is dropped by the others.
local silent = redis.call('ZRANGE', KEYS[2], '-inf', now - 120000, 'BYSCORE', 'LIMIT', 0, 8)
if #silent > 0 then
  redis.call('HDEL', KEYS[1], unpack(silent))
  redis.call('ZREM', KEYS[2], unpack(silent))
end
return 1
