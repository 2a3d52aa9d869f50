-- The next generation: microseconds of this server's clock, and always more than the one before.
-- A plain counter would start again at 1 after the server was lost, behind sessions that live on.
--
-- KEYS 1 the last generation given

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
local next = string.format('%.0f', math.max(now, last + 1))
redis.call('SET', KEYS[1], next)
return next
