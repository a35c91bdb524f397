-- Ends an offered or queued request as denied.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the request
--       2  the decision, JSON
-- Reply {code, due, standing}
--       ok; ended; not_offered: held; missing, without standing
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'missing', -1 } end
local m = machine()
local e = load(ARGV[1])
if not e then return reply('missing') end
if e.state == HELD then return reply('not_offered', standing(e)) end
if e.state > HELD then return reply('ended', standing(e)) end
e.d, e.amended = ARGV[2], true
m.finish(e, DENIED, 'lock_denied')
m.promote(e)
return reply('ok', standing(e))
