-- Appends an event that is about no lock.
--
-- KEYS  1  the clock of lock.SystemNamespace
-- ARGV  1  the event's name
--       2  reason
-- Reply {ok, due}; unregistered
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'unregistered', -1 } end
local none = { id = '', s = string.rep('0 ', 16) .. '0', m = '\n\n', b = '', d = '', y = '' }
record(none, ARGV[1], 0, ARGV[2])
return reply('ok')
