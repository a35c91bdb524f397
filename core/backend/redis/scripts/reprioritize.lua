-- Moves a queued request; its time of enqueueing stays.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the request
--       2  priority, lock.Priority
--       3  priority value, 0 to 1000
--       4  the decision, JSON
--       5  who does it
-- Reply {code, due, standing}
--       ok; ended; not_queued; missing, without standing
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'missing', -1 } end
local m = machine()
local e = load(ARGV[1])
if not e then return reply('missing') end
if e.state > HELD then return reply('ended', standing(e)) end
if e.state ~= QUEUED then return reply('not_queued', standing(e)) end
m.dequeue(e)
e.priority, e.value, e.d = tonumber(ARGV[2]), ARGV[3], ARGV[4]
e.score = e.requested - e.value * AGING
enqueue(e)
save(e, 'd', e.d)
record(e, 'lock_reprioritized', QUEUED, '', ARGV[5])
m.promote(e)
return reply('ok', standing(load(e.id)))
