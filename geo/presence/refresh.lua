-- A sign of life without a position: moves last-seen to now, and nothing else.
--
-- KEYS 1 the cell's hash, 2 its index by time   ARGV 1 hustler, 16 bytes   2 generation
-- Returns 1, or 0 when this generation has no record there.

local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or struct.unpack('<I8', record, 33) ~= tonumber(ARGV[2]) then return 0 end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.sub(record, 1, 52) .. struct.pack('<I8', now))
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('EXPIRE', KEYS[1], 120)
redis.call('EXPIRE', KEYS[2], 120)
return 1
