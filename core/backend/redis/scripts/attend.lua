-- Records how the callers of waiting requests can be reached; requests that do
-- not wait are passed over.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  a call is open, 1 or 0
--       2  how long the place is kept, ms, 0 until the wait ends
--       3  a heartbeat, 1 or 0: requests without an open call are passed over
--       4… ids
-- Reply {ok, due}
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'ok', -1 } end
local place = tonumber(ARGV[2])
for i = 4, #ARGV do
  local e = load(ARGV[i])
  if e and (ARGV[3] == '0' or e.attended == '1') then attend(e, ARGV[1], place) end
end
return reply('ok')
