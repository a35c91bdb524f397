-- Turns an offer into a held lock and starts its lease.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the request
--       2  lease, ms, 0 none
--       3  longest lease, ms, 0 none
--       4  the decision, JSON
-- Reply {code, due, standing}
--       ok; repeat: held already; ended; not_offered; missing, without standing
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'missing', -1 } end
local e = load(ARGV[1])
if not e then return reply('missing') end
if e.state == HELD then return reply('repeat', standing(e)) end
if e.state > HELD then return reply('ended', standing(e)) end
if e.state ~= OFFERED then return reply('not_offered', standing(e)) end
e.ttl, e.max_ttl, e.d = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
offered = offered - 1
hold(e)
save(e, 'd', e.d)
record(e, 'lock_acquired', OFFERED)
return reply('ok', standing(e))
