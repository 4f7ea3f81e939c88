-- Claim the building of a state that is not there; who claims with a later epoch takes it over.
-- KEYS: 1 epoch, 2 the claim. ARGV: 1 the epoch that is to be built.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local claim = redis.call('GET', KEYS[2])
if claim and tonumber(claim) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
return 1
