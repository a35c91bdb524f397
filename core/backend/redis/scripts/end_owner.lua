-- Releases and cancels everything of one owner, in ascending order of ids,
-- before anybody else is offered anything.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  owner
--       2  who does it
-- Reply {ok, due, views}
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'ok', -1, {} } end
local m = machine()
local ids = call('SMEMBERS', P .. 'o:' .. ARGV[1])
table.sort(ids)
local ended, views = {}, {}
for i, id in ipairs(ids) do
  local e = load(id)
  if e.state == HELD then
    m.finish(e, RELEASED, 'lock_released', '', ARGV[2])
  else
    m.finish(e, CANCELLED, 'lock_failed', 'cancelled', ARGV[2])
  end
  ended[i], views[i] = e, view(e)
end
m.promote_all(ended)
return reply('ok', views)
