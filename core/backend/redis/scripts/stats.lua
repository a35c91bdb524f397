-- Counts one namespace.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- Reply {ok, -1, held, offered, live, {waiting, age of the oldest in ms}…}
--       the last four by priority: low, normal, high, critical
if CLUSTER and moving() then return { 'moving', -1 } end
if not peek() then return { 'missing', -1 } end
local answer = { 'ok', -1, held, offered, call('ZCARD', L) }
for priority = 1, 4 do
  local waiting = P .. 'w:' .. priority
  local first = call('ZRANGE', waiting, 0, 0, 'WITHSCORES')
  answer[#answer + 1] = { call('ZCARD', waiting), first[2] and now - first[2] or 0 }
end
return answer
