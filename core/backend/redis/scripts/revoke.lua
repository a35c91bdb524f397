-- Ends a held or waiting request whatever its token.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the request
--       2  who does it
--       3  reason
-- Reply {code, due, standing}
--       ok; repeat: ended before; missing, without standing
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'missing', -1 } end
local m = machine()
local e = load(ARGV[1])
if not e then return reply('missing') end
if e.state > HELD then return reply('repeat', standing(e)) end
e.y, e.amended = ARGV[3], true
m.finish(e, REVOKED, 'lock_revoked', ARGV[3], ARGV[2])
m.promote(e)
return reply('ok', standing(e))
