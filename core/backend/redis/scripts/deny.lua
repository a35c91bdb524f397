-- Appends the event of a refusal.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the request
--       2  owner, subject, and a line a resource, as field m
--       3  the rest of the request, JSON
--       4  the decision, JSON
--       5  priority, lock.Priority
--       6  priority value, 0 to 1000
--       7  lease, ms
--       8  longest lease, ms
--       9  wait, ms
--      10  reason of the request
--      11  what was refused, an action
--      12  who was refused
-- Reply {code, due, …}
--       ok, s; known, view: refused was something about a request, which stays as
--       it is; unregistered
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'unregistered', -1 } end
local known = load(ARGV[1])
if known then
  record(known, 'lock_denied', known.state, ARGV[11], ARGV[12])
  return reply('known', view(known))
end
local e = fresh(ARGV[1], ARGV[2], {
  body = ARGV[3], decision = ARGV[4], priority = tonumber(ARGV[5]), value = tonumber(ARGV[6]),
  ttl = tonumber(ARGV[7]), max_ttl = tonumber(ARGV[8]), wait = tonumber(ARGV[9]), reason = ARGV[10],
})
e.state, e.ended = DENIED, now
pack(e)
record(e, 'lock_denied', 0, ARGV[11], ARGV[12])
return reply('ok', e.s)
