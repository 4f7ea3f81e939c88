-- Take, or keep, the lease of a shard; while another has it, wait for it in line.
-- KEYS: 1 head, 2 lease, 3 waiting, 4 blocks.
-- ARGV: 1 replica, 2 life of the lease (ms), 3 the version that the replica has in its cache, ''
--       for none.
-- Returns nothing while another has it, else fence, head and, when the cache is stale, blocks.
local lease = redis.call('GET', KEYS[2])
if not lease then
  grant(KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2])
elseif is_held_by(ARGV[1], lease) then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
else
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[3], 'NX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
  redis.call('PEXPIRE', KEYS[3], ARGV[2])
  return {}
end
local head = redis.call('HGETALL', KEYS[1])
local version = redis.call('HGET', KEYS[1], 'version')
if ARGV[3] ~= '' and version == ARGV[3] then return {head} end
return {head, redis.call('HGETALL', KEYS[4])}
