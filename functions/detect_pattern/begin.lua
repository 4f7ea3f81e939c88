-- Mark series as due that have no time yet; say of a shard that its series were listed from storage.
-- KEYS: 1 the number of shards, 2 the index of due series, 3 the flag of the shard, or none while names follow.
-- ARGV: the writer's number of shards; when to list the shard again (ms), the first time; members of the index.
-- Returns an empty list; the number of shards, or nil, if it is not the writer's.
local shards = redis.call('GET', KEYS[1])
if shards ~= ARGV[1] then return shards end
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[2], 'NX', 0, ARGV[i])
end
if KEYS[3] then
  redis.call('SET', KEYS[3], redis.call('EXISTS', KEYS[3]) == 1 and 0 or ARGV[2])
end
return {}
