-- Asks for all resources of a new request at once.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- ARGV  1  id of the request
--       2  owner, subject, and a line a resource ascending by key, as field m
--       3  the rest of the request, JSON
--       4  the decision, JSON
--       5  priority, lock.Priority
--       6  priority value, 0 to 1000
--       7  lease, ms, 0 none
--       8  longest lease, ms, 0 none
--       9  wait, ms, 0 never queues
--      10  idempotency key, "" none
--      11  hash of the body
--      12  longest queue to join, requests, 0 any
--      13  a call is open, 1 or 0
--      14  how long the place is kept, ms, 0 until the wait ends
-- Reply {code, due, …}
--       held, s; queued, s, position; repeat, standing: a request made before;
--       other: the id is another owner's; conflict: other body;
--       forgotten: the request that it made is gone; locked, s, blockers; full, key; unregistered
if CLUSTER and moving() then return { 'moving', -1 } end
if not begin() then return { 'unregistered', -1 } end
local id, m, key = ARGV[1], ARGV[2], ARGV[10]
local attended, place = ARGV[13], tonumber(ARGV[14])

local function remember(to)
  if key ~= '' then call('SET', P .. 'i:' .. key, to .. ARGV[11], 'PX', IDEMPOTENCY) end
end

-- A step that is handed over again, and a call that is repeated.
local known = call('EXISTS', P .. 'r:' .. id) == 1 and load(id)
if known and string.match(known.m, '^[^\n]*\n[^\n]*') ~= string.match(m, '^[^\n]*\n[^\n]*') then return reply('other') end
if known then return reply('repeat', standing(known)) end
if key ~= '' then
  local made = call('GET', P .. 'i:' .. key)
  if made then
    if string.sub(made, 27) ~= ARGV[11] then return reply('conflict') end
    known = load(string.sub(made, 1, 26))
    if not known then return reply('forgotten') end
    attend(known, attended, place)
    return reply('repeat', standing(known))
  end
end

local e = fresh(id, m, {
  body = ARGV[3], decision = ARGV[4], priority = tonumber(ARGV[5]), value = tonumber(ARGV[6]),
  ttl = tonumber(ARGV[7]), max_ttl = tonumber(ARGV[8]), wait = tonumber(ARGV[9]),
})

-- covering is the held lock of the owner, the one with the smallest id, that
-- has everything wanted already.
local function covering()
  local first = e.keys[1]
  local _, _, own = gate(first, e.owner)
  if own == 0 then return nil end
  local ids = queues().holders(first)
  if call('SCARD', P .. 'o:' .. e.owner) < #ids then
    ids = call('SMEMBERS', P .. 'o:' .. e.owner)
    table.sort(ids)
  end
  for _, other in ipairs(ids) do
    local l = load(other)
    if l and l.state == HELD and l.owner == e.owner then
      local all = true
      for _, k in ipairs(e.keys) do
        local mode = l.modes[k]
        all = all and mode ~= nil and (mode == 'x' or e.modes[k] == 's')
      end
      if all then return l end
    end
  end
end

local own = covering()
if own then
  remember(own.id)
  return reply('repeat', standing(own))
end

if grantable(e) then
  hold(e)
  seize(e)
  enter(e)
  save(e, 'm', m, 'b', e.b, 'd', e.d)
  remember(id)
  record(e, 'lock_acquired', 0)
  return reply('held', e.s)
end

-- A refused request leaves an event and nothing else.
local function refuse(why)
  pack(e)
  record(e, 'lock_failed', 0, why)
end

if e.wait <= 0 then
  refuse('locked')
  return reply('locked', e.s, queues().blockers(e))
end
local limit = tonumber(ARGV[12])
if limit > 0 then
  for _, k in ipairs(e.keys) do
    if call('ZCARD', P .. 'q:' .. k) >= limit then
      refuse('queue_full')
      return reply('full', k)
    end
  end
end

e.state, e.wait_until = QUEUED, now + e.wait
e.attended, e.alive_until = attended, place > 0 and now + place or 0
enqueue(e)
enter(e)
save(e, 'm', m, 'b', e.b, 'd', e.d)
remember(id)
record(e, 'queued_request', 0)
return reply('queued', e.s, queues().position(e))
