-- The directory: which cell holds a hustler. The newest (generation, seq) has the word, and thereby
-- decides between two gateways that both wrote presence.
--
-- KEYS 1 the hustler's directory key, holding "generation seq cell"
-- ARGV 1 generation   2 seq   3 cell in hex, or '' to give the claim up   4 TTL in seconds
-- Returns the cell claimed before ('' for none), or nil when a newer claim stands.

local held = redis.call('GET', KEYS[1])
local cell = ''
if held then
  local generation, seq
  generation, seq, cell = string.match(held, '^(%d+) (%d+) (%x+)$')
  generation, seq = tonumber(generation), tonumber(seq)
  local mine = tonumber(ARGV[1])
  if generation > mine or (generation == mine and seq > tonumber(ARGV[2])) then return false end
end
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3], 'EX', ARGV[4])
end
return cell
