-- One step of one shard: everything, or nothing when the writer is not the latest holder of the
-- lease, the state is not the one that was read, or an event was applied before.
-- KEYS: 1 head, 2 lease, 3 waiting, 4 applied, 5 recorded, then the keys that the commands name.
-- ARGV: 1 fence, 2 lineage, 3 version as read, 4 version to write, 5 value of the lease,
--       6 its life (ms), 7 time (ms) of the markers, 8 whether to hand the lease to a waiting replica ('1'),
--       9 how many numbers of instruments are taken, 10 number of events, their ids,
--       then commands: name, index of its key, number of arguments, arguments.
local head = redis.call('HMGET', KEYS[1], 'fence', 'lineage', 'version')
if head[1] ~= ARGV[1] then return {'fenced'} end
if (head[2] or '') ~= ARGV[2] or (head[3] or '') ~= ARGV[3] then return {'changed'} end
local events = tonumber(ARGV[10])
local applied = {}
for i = 11, 10 + events do
  if redis.call('ZSCORE', KEYS[4], ARGV[i]) or redis.call('ZSCORE', KEYS[5], ARGV[i]) then
    applied[#applied + 1] = ARGV[i]
  end
end
if #applied > 0 then return {'applied', unpack(applied)} end
local i = 11 + events
while i <= #ARGV do
  local last = i + 2 + tonumber(ARGV[i + 2])
  redis.call(ARGV[i], KEYS[tonumber(ARGV[i + 1])], unpack(ARGV, i + 3, last))
  i = last + 1
end
for j = 11, 10 + events do redis.call('ZADD', KEYS[4], ARGV[7], ARGV[j]) end
redis.call('HSET', KEYS[1], 'version', ARGV[4], 'numbers', ARGV[9])
redis.call('HINCRBY', KEYS[1], 'steps', 1)
local next_holder = ARGV[8] == '1' and hand_over(KEYS[1], KEYS[2], KEYS[3], ARGV[6])
if next_holder then return {'ok', next_holder} end
redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[6])
return {'ok'}
