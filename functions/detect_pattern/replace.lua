-- Replace series that have not changed since they were read, and say when to look at each again.
-- KEYS: 1 the number of shards, 2 the index of due series, 3 the index of all series by use, 4.. the series.
-- ARGV: the writer's number of shards; the time (ms); then four for each series: version as read; new value, or '' to
--       leave it; member of the indexes; when (ms), or '' for never.
-- Returns for each series 1, or 0 where it had changed; the number of shards, or nil, if it is not the writer's.
local shards = redis.call('GET', KEYS[1])
if shards ~= ARGV[1] then return shards end
local written = {}
for i = 4, #KEYS do
  local at = (i - 4) * 4 + 2
  if redis.call('GETRANGE', KEYS[i], 0, 7) ~= ARGV[at + 1] then
    written[i - 3] = 0
  else
    if ARGV[at + 2] ~= '' then
      redis.call('SET', KEYS[i], ARGV[at + 2])
      redis.call('ZADD', KEYS[3], ARGV[2], ARGV[at + 3])
    end
    if ARGV[at + 4] == '' then
      redis.call('ZREM', KEYS[2], ARGV[at + 3])
    else
      redis.call('ZADD', KEYS[2], ARGV[at + 4], ARGV[at + 3])
    end
    written[i - 3] = 1
  end
end
return written
