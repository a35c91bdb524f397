-- Closes a namespace that has nothing in it: no request, no event. Its clock
-- and its idempotency keys expire.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- Reply {retired, -1}; used, due; unregistered, -1: it was closed already
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'unregistered', -1 } end
call('XTRIM', EV, 'MINID', int(now - EVENTS))
if call('EXISTS', X, L, Z, K) > 0 or call('XLEN', EV) > 0 then return reply('used') end
close()
call('DEL', EV, N)
call('HDEL', C, 'reg')
call('PEXPIRE', C, math.max(EVENTS, 86400000))
return { 'retired', -1 }
