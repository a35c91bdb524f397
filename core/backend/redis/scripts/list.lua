-- Reads requests of one namespace in ascending order of ids.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id to begin after, "" the first
--       2  requests at most
--       3  live ones, 1 or 0
--       4  ended ones, 1 or 0
--       5  owner of the live ones, "" any
-- Reply {ok, -1, last, standings}
--       last: id of the last one looked at, "" when there are no more
if CLUSTER and moving() then return { 'moving', -1 } end
if not peek() then return { 'ok', -1, '', {} } end
local after, limit = ARGV[1], tonumber(ARGV[2])
local from = after == '' and '-' or '(' .. after
local ids = {}
local function add(list)
  for _, id in ipairs(list) do
    if id > after then ids[#ids + 1] = id end
  end
end
if ARGV[3] == '1' then
  if ARGV[5] ~= '' then
    add(call('SMEMBERS', P .. 'o:' .. ARGV[5]))
  else
    add(call('ZRANGEBYLEX', L, from, '+', 'LIMIT', 0, limit + 1))
  end
end
if ARGV[4] == '1' then add(call('ZRANGEBYLEX', Z, from, '+', 'LIMIT', 0, limit + 1)) end
table.sort(ids)
local found = {}
for i = 1, math.min(limit, #ids) do
  local e = queues().fetch(ids[i])
  if e then found[#found + 1] = standing(e) end
end
return { 'ok', -1, #ids > limit and ids[limit] or '', found }
