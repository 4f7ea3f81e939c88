-- Replace a series where it has not changed since it was read, and say when to look at it again.
-- KEYS: 1 the series, 2 the index of due series, 3 the set of all series.
-- ARGV: 1 version as read, 2 new value, or '' to leave it, 3 member of the indexes, 4 when (ms),
--       or '' for never.
if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' then redis.call('SET', KEYS[1], ARGV[2]) end
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[2], ARGV[3])
else
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
end
redis.call('SADD', KEYS[3], ARGV[3])
return 1
