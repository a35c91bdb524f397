-- Reads the queues of one namespace in ascending order of keys.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  key to begin after, "" the first
--       2  queues at most
--       3  waiters of each at most
--       4  the one key that is asked for, "" all
-- Reply {ok, -1, last, {key, length, views of holders, standings of waiters}…}
--       last: the last key looked at, "" when there are no more
if CLUSTER and moving() then return { 'moving', -1 } end
if not peek() then return { 'ok', -1, '' } end
local limit, depth = tonumber(ARGV[2]), tonumber(ARGV[3])
local keys
if ARGV[4] ~= '' then
  keys = call('ZSCORE', K, ARGV[4]) and ARGV[4] > ARGV[1] and { ARGV[4] } or {}
else
  keys = call('ZRANGEBYLEX', K, ARGV[1] == '' and '-' or '(' .. ARGV[1], '+', 'LIMIT', 0, limit + 1)
end
local answer = { 'ok', -1, #keys > limit and keys[limit] or '' }
for i = 1, math.min(limit, #keys) do
  local key = keys[i]
  local queue = { key, call('ZCARD', P .. 'q:' .. key), {}, {} }
  for _, id in ipairs(queues().holders(key)) do
    queue[3][#queue[3] + 1] = view(queues().fetch(id))
  end
  if depth > 0 then
    for _, id in ipairs(call('ZRANGE', P .. 'q:' .. key, 0, depth - 1)) do
      queue[4][#queue[4] + 1] = standing(queues().fetch(id))
    end
  end
  answer[#answer + 1] = queue
end
return answer
