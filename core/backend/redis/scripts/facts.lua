-- Reads what policies may know about some resources.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  owner
--       2  subject
--       3… keys of the resources
-- Reply {ok, -1, locks held by the subject, locks held by the owner,
--       {view of the first holder or {}, queue length, mine, waited ms}…}
if CLUSTER and moving() then return { 'moving', -1 } end
if not peek() then return { 'missing', -1 } end
local by_owner = 0
for _, id in ipairs(call('SMEMBERS', P .. 'o:' .. ARGV[1])) do
  local e = queues().fetch(id)
  if e and e.state == HELD then by_owner = by_owner + 1 end
end
local answer = { 'ok', -1, tonumber(call('HGET', N, ARGV[2])) or 0, by_owner }
for i = 3, #ARGV do
  local key = ARGV[i]
  local first, mine, waited = queues().holders(key)[1], 0, 0
  for _, e in ipairs(queues().own_at(key, ARGV[1])) do
    if e.state == QUEUED then mine = mine + 1 end
    if e.state ~= HELD then waited = math.max(waited, now - e.requested) end
  end
  answer[#answer + 1] = { first and view(queues().fetch(first)) or {}, call('ZCARD', P .. 'q:' .. key), mine, waited }
end
return answer
