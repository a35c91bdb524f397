-- Takes back a grant that too few replicas have: a request that acquire made is
-- gone as if it had never been, a confirmed one is offered again. The log keeps
-- both, the transition and its undoing.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the request
--       2  step to undo: acquire or confirm
--       3  idempotency key of the acquire, or ""
-- Reply {ok, due}; missing
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'missing', -1 } end
local m = machine()
local e = load(ARGV[1])
if not e or e.state > HELD then return reply('missing') end
if ARGV[2] == 'confirm' then
  if e.state ~= HELD then return reply('missing') end
  local before = e.state
  held, offered = held - 1, offered + 1
  if call('HINCRBY', N, e.subject, -1) <= 0 then call('HDEL', N, e.subject) end
  e.state, e.token, e.acquired, e.expires = OFFERED, 0, 0, 0
  e.offer_until = now + POLL
  save(e)
  record(e, 'lock_offered', before, 'not_replicated')
  return reply('ok')
end
m.finish(e, CANCELLED, 'lock_failed', 'not_replicated')
call('DEL', P .. 'r:' .. e.id)
call('ZREM', X, e.id)
call('ZREM', Z, e.id)
if ARGV[3] ~= '' then call('DEL', P .. 'i:' .. ARGV[3]) end
m.promote(e)
return reply('ok')
