-- What heartbeat.lua and refresh.lua begin with: a record's layout, its time and its upkeep.
--
-- A record is 62 bytes, as RECORD in present_hustlers.py has it:
--   1 hustler   17 latitude, longitude   33 generation   41 seq   45 fixed at   53 seen at   61 index lag
-- Any server clock but this one's is ignored; it is asked once for all heartbeats of a call.

local call, sub, unpack, pack = redis.call, string.sub, struct.unpack, struct.pack
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Puts a hustler into the index by time as seen now, and keeps both keys of the cell alive: from
-- 100 to 120 s after it, so 95 s after the last write, still longer than the 90 s that count as
-- present.
local function index(cell, seen, id)
  call('ZADD', seen, now, id)
  if call('TTL', cell) > 100 then return end
  call('EXPIRE', cell, 120)
  call('EXPIRE', seen, 120)
  -- A cell that is never empty never expires; whoever fell silent in it is dropped by the others.
  local silent = call('ZRANGE', seen, '-inf', now - 120000, 'BYSCORE', 'LIMIT', 0, 64)
  if #silent > 0 then
    call('HDEL', cell, _G.unpack(silent))
    call('ZREM', seen, _G.unpack(silent))
  end
end

-- Returns by how much the index lags behind a record that is seen again now: under 5 s, or 0 after
-- an entry in it. A clock that was set back makes a new entry.
local function lag_of(cell, seen, id, seen_before, lag_before)
  local lag = lag_before + now - seen_before
  if lag >= 0 and lag < 5000 then return lag end
  index(cell, seen, id)
  return 0
end
