-- Grants the lease of a shard to a replica. This file is prepended to the other lease scripts.
local function grant(head, lease, waiting, replica, life)
  redis.call('ZREM', waiting, replica)
  local fence = redis.call('HINCRBY', head, 'fence', 1)
  redis.call('SET', lease, replica .. '|' .. string.format('%.0f', fence), 'PX', life)
end

-- Hands the lease to the replica that waits longest; returns its name, nil if none waits.
local function hand_over(head, lease, waiting, life)
  local first = redis.call('ZRANGE', waiting, 0, 0)[1]
  if first then grant(head, lease, waiting, first, life) end
  return first
end

local function is_held_by(replica, lease)
  return lease and string.sub(lease, 1, #replica + 1) == replica .. '|'
end
