-- Give the lease of a shard back. KEYS: 1 lease. ARGV: 1 its value.
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
