-- The atomic step: all values as they were read, the event not applied before, or nothing happens.
-- KEYS: 1 marker, 2 epoch, 3.. the n values to write, then the keys of the index operations.
-- ARGV: 1 epoch as read, 2 life of the marker in ms (0: no marker), 3 n,
--       then n pairs of (version as read, new value or '' to delete), then the index operations as JSON.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 'epoch' end
if ARGV[2] ~= '0' and redis.call('EXISTS', KEYS[1]) == 1 then return 'applied' end
local n = tonumber(ARGV[3])
for i = 1, n do
  if redis.call('GETRANGE', KEYS[2 + i], 0, 7) ~= ARGV[2 + 2 * i] then return 'conflict' end
end
for i = 1, n do
  local value = ARGV[3 + 2 * i]
  if value == '' then redis.call('DEL', KEYS[2 + i]) else redis.call('SET', KEYS[2 + i], value) end
end
for _, operation in ipairs(cjson.decode(ARGV[4 + 2 * n])) do
  local name, key = operation[1], KEYS[operation[2]]
  if name == 'DUE' then
    -- The instrument is due when its earliest open candle ends.
    local earliest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if earliest[2] then
      redis.call('ZADD', KEYS[operation[3]], earliest[2], operation[4])
    else
      redis.call('ZREM', KEYS[operation[3]], operation[4])
    end
  else
    redis.call(name, key, unpack(operation, 3))
  end
end
if ARGV[2] ~= '0' then redis.call('SET', KEYS[1], '1', 'PX', ARGV[2]) end
return 'ok'
