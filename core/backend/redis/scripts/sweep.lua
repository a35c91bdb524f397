-- Does what is due, and drops events that are older than they are kept.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  requests to sweep at most
-- Reply {ok, due}; unregistered. due: of the whole namespace
if CLUSTER and moving() then return { 'moving', -1 } end
if not open() then return { 'unregistered', -1 } end
machine().sweep(tonumber(ARGV[1]))
call('XTRIM', EV, 'MINID', '~', int(now - EVENTS))
return reply('ok')
