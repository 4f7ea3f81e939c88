-- Replace series that have not changed since they were read, and say when to look at each again.
-- KEYS: 1 the index of due series, 2 the index of all series by use, 3.. the series.
-- ARGV: the time (ms), then four for each series: version as read; new value, or '' to leave it; member of the indexes;
--       when (ms), or '' for never.
-- Returns for each series 1, or 0 where it had changed.
local written = {}
for i = 3, #KEYS do
  local at = (i - 3) * 4 + 1
  if redis.call('GETRANGE', KEYS[i], 0, 7) ~= ARGV[at + 1] then
    written[i - 2] = 0
  else
    if ARGV[at + 2] ~= '' then
      redis.call('SET', KEYS[i], ARGV[at + 2])
      redis.call('ZADD', KEYS[2], ARGV[1], ARGV[at + 3])
    end
    if ARGV[at + 4] == '' then
      redis.call('ZREM', KEYS[1], ARGV[at + 3])
    else
      redis.call('ZADD', KEYS[1], ARGV[at + 4], ARGV[at + 3])
    end
    written[i - 2] = 1
  end
end
return written
