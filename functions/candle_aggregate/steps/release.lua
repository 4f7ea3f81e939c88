-- Give up the lease of a shard, or the place in the line for it.
-- KEYS: 1 head, 2 lease, 3 waiting. ARGV: 1 replica, 2 life of the lease (ms).
-- Returns the replica that has it now, '' for none.
redis.call('ZREM', KEYS[3], ARGV[1])
if not is_held_by(ARGV[1], redis.call('GET', KEYS[2])) then return '' end
local next_holder = hand_over(KEYS[1], KEYS[2], KEYS[3], ARGV[2])
if not next_holder then redis.call('DEL', KEYS[2]) end
return next_holder or ''
