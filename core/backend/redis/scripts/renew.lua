-- Starts the lease of a held lock again.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the lock
--       2  token
--       3  lease, ms, 0 none, -1 the length it has
-- Reply {code, due, standing}
--       ok; stale; missing, without standing
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'missing', -1 } end
local e = load(ARGV[1])
if not e then return reply('missing') end
if e.state ~= HELD or int(e.token) ~= ARGV[2] then return reply('stale', standing(e)) end
local ttl = tonumber(ARGV[3])
if ttl >= 0 then
  if e.max_ttl > 0 and (ttl == 0 or ttl > e.max_ttl) then ttl = e.max_ttl end
  e.ttl = ttl
end
e.expires = e.ttl > 0 and now + e.ttl or 0
save(e)
record(e, 'lock_renewed', HELD)
return reply('ok', standing(e))
