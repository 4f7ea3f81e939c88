-- The lease of a shard passes to a replica. It comes first in the other scripts of the lease.
local function grant(head, lease, waiting, replica, life)
  redis.call('ZREM', waiting, replica)
  local fence = redis.call('HINCRBY', head, 'fence', 1)
  redis.call('SET', lease, replica .. '|' .. string.format('%.0f', fence), 'PX', life)
end

-- To who waits longest, whose name is returned; nil: nobody waits.
local function hand_over(head, lease, waiting, life)
  local first = redis.call('ZRANGE', waiting, 0, 0)[1]
  if first then grant(head, lease, waiting, first, life) end
  return first
end

local function is_held_by(replica, lease)
  return lease and string.sub(lease, 1, #replica + 1) == replica .. '|'
end
