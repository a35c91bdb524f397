-- Ends a held lock, or cancels a request that still waits. The next waiters are
-- offered in the same step.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the lock
--       2  token, 0 when it was never held
--       3  subject that the lock must be of, "" any
--       4  who does it when that is not its subject, or ""
-- Reply {code, due, standing}
--       ok; repeat: ended before; not_yours; stale; missing, without standing
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'missing', -1 } end
local m = machine()
local e = load(ARGV[1])
if not e then return reply('missing') end
if ARGV[3] ~= '' and e.subject ~= ARGV[3] then return reply('not_yours', standing(e)) end
if e.state == QUEUED or e.state == OFFERED then
  m.finish(e, CANCELLED, 'lock_failed', 'cancelled', ARGV[4])
elseif int(e.token) ~= ARGV[2] then
  return reply('stale', standing(e))
elseif e.state == HELD then
  m.finish(e, RELEASED, 'lock_released', '', ARGV[4])
else
  return reply('repeat', standing(e))
end
m.promote(e)
return reply('ok', standing(e))
