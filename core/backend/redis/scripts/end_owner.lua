-- Releases and cancels everything of one owner, in ascending order of ids,
-- before anybody else is offered anything.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  owner
--       2  who does it
--       3  only the requests named, 1 or 0
--       4… their ids
-- Reply {ok, due, views}
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'ok', -1, {} } end
local m = machine()
local ids = call('SMEMBERS', P .. 'o:' .. ARGV[1])
table.sort(ids)
local named = {}
for i = 4, #ARGV do named[ARGV[i]] = true end
local ended, views = {}, {}
for _, id in ipairs(ids) do
  if ARGV[3] == '0' or named[id] then
    ended[#ended + 1] = load(id)
  end
end
for i, e in ipairs(ended) do
  if e.state == HELD then
    m.finish(e, RELEASED, 'lock_released', '', ARGV[2])
  else
    m.finish(e, CANCELLED, 'lock_failed', 'cancelled', ARGV[2])
  end
  views[i] = view(e)
end
m.promote_all(ended)
return reply('ok', views)
