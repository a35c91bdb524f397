-- Reads one request.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the request
-- Reply {ok, -1, standing}; missing
if CLUSTER and moving() then return { 'moving', -1 } end
if not peek() then return { 'missing', -1 } end
local e = load(ARGV[1])
if not e then return { 'missing', -1 } end
return { 'ok', -1, standing(e) }
