-- Answers whether a token is the live one. Changes nothing but what is due.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the lock
--       2  token
-- Reply {code, due, standing}
--       ok; stale; missing, without standing
if CLUSTER and moving() then return { 'moving', -1 } end
if not peek() then return { 'missing', -1 } end
local e = load(ARGV[1])
if not e then return { 'missing', -1 } end
local live = e.state == HELD and int(e.token) == ARGV[2]
return { live and 'ok' or 'stale', -1, standing(e) }
