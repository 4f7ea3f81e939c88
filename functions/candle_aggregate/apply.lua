-- The atomic step: all values as they were read, no event applied before, or nothing happens.
-- KEYS: 1 epoch, then the m markers, the n values to write, the keys of the index operations.
-- ARGV: 1 epoch as read, 2 m, 3 n, then the m values of the markers,
--       then n pairs of (version as read, new value or '' to delete), then the index operations
--       as JSON.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'epoch' end
local m, n = tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 1, m do
  if redis.call('EXISTS', KEYS[1 + i]) == 1 then return 'applied' end
end
for i = 1, n do
  if redis.call('GETRANGE', KEYS[1 + m + i], 0, 7) ~= ARGV[2 + m + 2 * i] then return 'conflict' end
end
for i = 1, n do
  local key, value = KEYS[1 + m + i], ARGV[3 + m + 2 * i]
  if value == '' then redis.call('DEL', key) else redis.call('SET', key, value) end
end
for _, operation in ipairs(cjson.decode(ARGV[4 + m + 2 * n])) do
  local name, key = operation[1], KEYS[operation[2]]
  if name == 'DUE' then
    -- Due when its earliest open candle ends, plus lateness, but not before the time given.
    local earliest = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
    if earliest[2] then
      local look = math.max(earliest[2] + operation[6], tonumber(operation[5]))
      redis.call('ZADD', KEYS[operation[3]], string.format('%.0f', look), operation[4])
    else
      redis.call('ZREM', KEYS[operation[3]], operation[4])
    end
  else
    redis.call(name, key, unpack(operation, 3))
  end
end
-- A marker has no end until Postgres says what it says (reconcile.py).
for i = 1, m do
  redis.call('SET', KEYS[1 + i], ARGV[3 + i])
end
return 'ok'
