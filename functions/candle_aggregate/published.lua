-- Forget that candles are unpublished, where they have not changed since they were emitted.
-- KEYS: 1 the index of unpublished candles, then candle keys. ARGV: the version emitted of each.
for i = 1, #ARGV do
  local version = redis.call('GETRANGE', KEYS[1 + i], 0, 7)
  if version == ARGV[i] or version == '' then redis.call('ZREM', KEYS[1], KEYS[1 + i]) end
end
