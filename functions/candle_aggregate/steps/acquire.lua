-- Take, or keep, the lease of a shard. First come, first served; who no longer asks loses its place.
-- KEYS: 1 head, 2 lease, 3 waiting, 4 asked, 5 blocks.
-- ARGV: 1 replica, 2 life of the lease (ms), 3 after how long (ms) who no longer asks is passed over,
--       4 the version that the replica has in its cache, '' for none.
-- Returns nothing while another has it, else fence, head and, when the cache is stale, blocks.
local me = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('GET', KEYS[2])
local mine = lease and string.sub(lease, 1, #me + 1) == me .. '|'
if not mine then
  -- Most polls write nothing: each write is synced to disk, and the holder's steps wait for that.
  if now - tonumber(redis.call('HGET', KEYS[4], me) or 0) > tonumber(ARGV[3]) / 4 then
    redis.call('ZADD', KEYS[3], 'NX', now, me)
    redis.call('HSET', KEYS[4], me, string.format('%.0f', now))
  end
  if lease then return {} end
  for _, first in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    if first == me then break end
    local asked = tonumber(redis.call('HGET', KEYS[4], first) or 0)
    if now - asked < tonumber(ARGV[3]) then return {} end
    redis.call('ZREM', KEYS[3], first)
    redis.call('HDEL', KEYS[4], first)
  end
  redis.call('ZREM', KEYS[3], me)
  redis.call('HDEL', KEYS[4], me)
  local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
  redis.call('SET', KEYS[2], me .. '|' .. string.format('%.0f', fence), 'PX', ARGV[2])
else
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
local head = redis.call('HGETALL', KEYS[1])
local version = redis.call('HGET', KEYS[1], 'version')
if ARGV[4] ~= '' and version == ARGV[4] then return {head} end
return {head, redis.call('HGETALL', KEYS[5])}
