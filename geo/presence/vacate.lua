-- Takes a hustler out of a cell, unless something newer stands there.
--
-- KEYS 1 the cell's hash, 2 its index by time
-- ARGV 1 hustler, 16 bytes   2 generation   3 seq
-- Returns 1 when there is nothing left of this hustler, 0 when a newer record stays.

local record = redis.call('HGET', KEYS[1], ARGV[1])
if record then
  local generation, seq = struct.unpack('<I8I4', record, 33)
  local mine = tonumber(ARGV[2])
  if generation > mine or (generation == mine and seq > tonumber(ARGV[3])) then return 0 end
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
