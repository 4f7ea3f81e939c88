-- Forget that candles are unpublished, where they have not changed since they were emitted.
-- KEYS: 1 the hash of unpublished candles. ARGV: pairs of (candle key, revision emitted).
for i = 1, #ARGV, 2 do
  local entry = redis.call('HGET', KEYS[1], ARGV[i])
  if entry and string.match(entry, '^%d+') == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
