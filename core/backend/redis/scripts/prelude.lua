-- The lock table of one namespace: what every script below shares. The loader
-- puts it, after a few constants (AGING, OFFER, POLL, ENDED, IDEMPOTENCY,
-- EVENTS: milliseconds; CLUSTER: true or false), in front of each script.
--
-- KEYS[1] is in every script `<prefix>:{<namespace>}:c`. All other keys of the
-- namespace are built here from what stands before its last letter, because a
-- sweep or a promotion may touch any request of the namespace, so no caller can
-- know them. They share KEYS[1]'s hash tag and so its slot. keys.go lists them.
local call = redis.call
local C = KEYS[1]
local P = string.sub(C, 1, -2)
local X, L, Z, K, EV, N = P .. 'x', P .. 'l', P .. 'z', P .. 'k', P .. 'ev', P .. 'n'

-- lock.State and how often an offer may lapse before its request ends.
local QUEUED, OFFERED, HELD, RELEASED, EXPIRED, REVOKED, CANCELLED, TIMED_OUT, DENIED = 1, 2, 3, 4, 5, 6, 7, 8, 10
local MAX_LAPSES = 2
-- What a step sweeps at most; what is left is due for the next one.
local SWEEP = 100
-- Another server may know less than the one before, whose clock may have been
-- ahead by SKEW (µs).
local SKEW = 10000000

-- int spells a whole number below 2^53; the default format would round it.
local function int(n) return string.format('%d', n) end

-- --------------------------------------------------------------------------
-- Clock, token and counters: hash c.

local now, us         -- milliseconds and microseconds, never behind any step before
local token           -- largest token handed out
local held, offered   -- live requests in these states
local clock           -- field s as it was read
local line            -- replication id of the server that granted last
local soonest         -- earliest deadline that this step knows of, ms

-- While a cluster moves a slot, key by key, neither server has all of the
-- namespace. Asking for two keys that nobody has is an error on both servers then,
-- and only then. A script must find out before it has written anything.
local function moving()
  local answer = redis.pcall('EXISTS', P .. '!', P .. '?')
  return type(answer) == 'table' and answer.err ~= nil
end

-- open reads the clock; it answers false when nobody has registered the
-- namespace, which then has no keys.
local function open()
  local c = call('HMGET', C, 'reg', 's', 'line')
  if not c[1] then return false end
  clock, line = c[2] or '0 0 0 0', c[3] or ''
  local last, t
  last, token, held, offered = string.match(clock, '^(%S+) (%S+) (%S+) (%S+)$')
  token, held, offered = tonumber(token), tonumber(held), tonumber(offered)
  t = call('TIME')
  us = t[1] * 1000000 + t[2]
  now = math.max(math.floor(us / 1000), tonumber(last))
  us = math.max(us, now * 1000)
  return true
end

-- close writes back what open read.
local function close()
  local s = string.format('%d %d %d %d', now, token, held, offered)
  if s ~= clock then call('HSET', C, 's', s) end
end

-- fence lifts the token above whatever another master may have handed out. It is
-- asked at every grant: a master that lives on beside a promoted replica may have
-- granted a moment ago. A server begins a new line of replication when it starts
-- and when it is promoted; replicas have their master's.
local function fence()
  local info = call('INFO', 'replication')
  if line ~= '' and string.find(info, 'master_replid:' .. line, 1, true) then return end
  line = string.match(info, 'master_replid:(%x+)')
  call('HSET', C, 'line', line)
  call('HINCRBY', C, 'epoch', 1)
  token = math.max(token, us) + SKEW
end

-- --------------------------------------------------------------------------
-- Requests: hashes r:<id>.
--   s  state token ttl max_ttl wait requested wait_until offer_until acquired
--      expires ended attended alive_until lapses priority value score: numbers
--      parted by blanks; lengths and times in ms, 0 is never
--   m  owner, subject, then a line a resource: x or s, and the key
--   b  the rest as JSON that only gateways read; d the decision; y the reason

local FORMAT = '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)$'

-- match reads field m.
local function match(e, m)
  local owner, subject, rest = string.match(m, '^([^\n]*)\n([^\n]*)\n(.*)$')
  e.m, e.owner, e.subject, e.keys, e.modes = m, owner, subject, {}, {}
  for mode, key in string.gmatch(rest, '([xs])([^\n]*)') do
    e.keys[#e.keys + 1] = key
    e.modes[key] = mode
  end
end

-- deadline is when the present state ends by itself, 0 never.
local function deadline(e)
  if e.state == HELD then return e.expires end
  if e.state == OFFERED then return e.offer_until end
  if e.state == QUEUED then
    if e.alive_until ~= 0 and e.alive_until < e.wait_until then return e.alive_until end
    return e.wait_until
  end
  return e.ended + ENDED
end

local function load(id)
  local v = call('HMGET', P .. 'r:' .. id, 's', 'm', 'b', 'd', 'y')
  if not v[1] then return nil end
  local a, b, c, d, f, g, h, i, j, k, l, m, n, o, p, q, r = string.match(v[1], FORMAT)
  local e = {
    id = id, b = v[3] or '', d = v[4] or '', y = v[5] or '', s = v[1],
    state = tonumber(a), token = tonumber(b), ttl = tonumber(c), max_ttl = tonumber(d), wait = tonumber(f),
    requested = tonumber(g), wait_until = tonumber(h), offer_until = tonumber(i), acquired = tonumber(j),
    expires = tonumber(k), ended = tonumber(l), attended = m, alive_until = tonumber(n), lapses = tonumber(o),
    priority = tonumber(p), value = q, score = tonumber(r),
  }
  match(e, v[2])
  e.due = deadline(e)
  return e
end

local function pack(e)
  e.s = string.format('%d %d %d %d %d %d %d %d %d %d %d %s %d %d %d %s %d',
    e.state, e.token, e.ttl, e.max_ttl, e.wait, e.requested, e.wait_until, e.offer_until, e.acquired,
    e.expires, e.ended, e.attended, e.alive_until, e.lapses, e.priority, e.value, e.score)
end

-- save writes the request and files it in x under its deadline. ...: more
-- fields of the hash and their values.
local function save(e, ...)
  pack(e)
  call('HSET', P .. 'r:' .. e.id, 's', e.s, ...)
  local due = deadline(e)
  if due ~= e.due then
    if due == 0 then call('ZREM', X, e.id) else call('ZADD', X, int(due), e.id) end
    e.due = due
  end
  if due ~= 0 and (not soonest or due < soonest) then soonest = due end
end

-- record appends the event of a transition; e is the request after it.
-- before: state before, 0 none; why and by: text or nil. Fields w, u and y are
-- left out when they say nothing.
local function record(e, what, before, why, by)
  local args = {
    EV, 'MINID', '~', int(now - EVENTS), '*',
    'h', string.format('%s %d %d %s\n%s\n%s', what, before, now, e.id, e.s, e.m), 'b', e.b, 'd', e.d,
  }
  local function add(name, text)
    if not text or text == '' then return end
    args[#args + 1] = name
    args[#args + 1] = text
  end
  add('w', why)
  add('u', by)
  add('y', e.y)
  call('XADD', unpack(args))
end

-- view is a request as gateways read it: view in codec.go.
local function view(e) return { e.id, e.s, e.m, e.b, e.d, e.y } end

-- --------------------------------------------------------------------------
-- Resources: hash h:<key> of holders and offers, zset q:<key> of waiters by
-- score, zset e:<key> of the exclusive ones among them. Beside id → mode, h has
-- x: exclusive holders, n: distinct owners, =<owner>: holds of that owner. No
-- two holders ever conflict, so either all are shared or all have one owner.

local gates = {} -- by key: the last one that was read, while it stands

local function gate(key, owner)
  local g = gates[key]
  if not g or g.owner ~= owner then
    local v = call('HMGET', P .. 'h:' .. key, 'x', 'n', '=' .. owner)
    g = { owner = owner, exclusive = tonumber(v[1]) or 0, owners = tonumber(v[2]) or 0, own = tonumber(v[3]) or 0 }
    gates[key] = g
  end
  return g.exclusive, g.owners, g.own
end

-- taken: a holder or an offer conflicts with a request of owner for the key.
local function taken(key, mode, owner)
  local exclusive, owners, own = gate(key, owner)
  if mode == 's' and exclusive == 0 then return false end
  if own > 0 then return owners > 1 end
  return owners > 0
end

local function ahead(score, id, e) return score < e.score or (score == e.score and id < e.id) end

local function owner_of(id)
  return string.match(call('HGET', P .. 'r:' .. id, 'm') or '', '^[^\n]*')
end

-- passed: a request of another owner that conflicts waits ahead of e.
local function passed(e, key)
  local rivals = P .. (e.modes[key] == 's' and 'e:' or 'q:') .. key
  if call('EXISTS', rivals) == 0 then return false end -- a quarter of what ZRANGE costs
  local i = 0
  while true do
    local w = call('ZRANGE', rivals, i, i, 'WITHSCORES')
    if not w[1] or not ahead(tonumber(w[2]), w[1], e) then return false end
    if owner_of(w[1]) ~= e.owner then return true end
    i = i + 1
  end
end

local function grantable(e)
  for _, key in ipairs(e.keys) do
    if taken(key, e.modes[key], e.owner) or passed(e, key) then return false end
  end
  return true
end

-- seize makes a request a holder of its keys. Those of a queued one are in use
-- already.
local function seize(e)
  for _, key in ipairs(e.keys) do
    local exclusive, owners, own = gate(key, e.owner)
    if own == 0 then owners = owners + 1 end
    if e.modes[key] == 'x' then exclusive = exclusive + 1 end
    call('HSET', P .. 'h:' .. key, e.id, e.modes[key], 'x', exclusive, 'n', owners, '=' .. e.owner, own + 1)
    gates[key] = nil
    if owners == 1 and own == 0 and e.state ~= QUEUED then call('ZADD', K, '0', key) end
  end
end

-- enqueue puts a request into the queues of its keys.
local function enqueue(e)
  local score = int(e.score)
  for _, key in ipairs(e.keys) do
    call('ZADD', P .. 'q:' .. key, score, e.id)
    if e.modes[key] == 'x' then call('ZADD', P .. 'e:' .. key, score, e.id) end
    call('ZADD', K, '0', key)
  end
  call('ZADD', P .. 'w:' .. e.priority, int(e.requested), e.id)
end

-- --------------------------------------------------------------------------
-- Transitions of one request. The index of live requests is zset l, of ended
-- ones z (both by id); o:<owner> is the set of an owner's live ids, hash n
-- counts the held locks of each subject.

local function enter(e)
  call('ZADD', L, '0', e.id)
  call('SADD', P .. 'o:' .. e.owner, e.id)
end

-- hold gives a request its token and starts its lease; save must follow.
local function hold(e)
  fence()
  token = math.max(token + 1, us)
  e.state, e.token, e.acquired = HELD, token, now
  e.wait_until, e.offer_until, e.attended, e.alive_until = 0, 0, '0', 0
  e.expires = e.ttl > 0 and now + e.ttl or 0
  held = held + 1
  call('HINCRBY', N, e.subject, 1)
end

-- fresh is a request that is in no state yet. its: see acquire.lua.
local function fresh(id, m, its)
  local e = {
    id = id, b = its.body, d = its.decision, y = its.reason or '', state = 0, token = 0, ttl = its.ttl,
    max_ttl = its.max_ttl, wait = its.wait, requested = now, wait_until = 0, offer_until = 0, acquired = 0,
    expires = 0, ended = 0, attended = '0', alive_until = 0, lapses = 0, priority = its.priority,
    value = its.value, score = now - its.value * AGING, due = 0,
  }
  match(e, m)
  return e
end

-- attend notes how the caller of a waiting request can be reached; an offer
-- that stands keeps its end.
local function attend(e, attended, place)
  if e.state ~= QUEUED and e.state ~= OFFERED then return end
  e.attended, e.alive_until = attended, place > 0 and now + place or 0
  save(e)
end

-- --------------------------------------------------------------------------
-- What ends requests and moves others up. A script that does neither does not
-- pay for making these functions: they are made when they are first wanted.

local function make_machine()
  -- yield undoes seize.
  local function yield(e)
    for _, key in ipairs(e.keys) do
      local h = P .. 'h:' .. key
      local exclusive, owners, own = gate(key, e.owner)
      gates[key] = nil
      if owners == 1 and own == 1 then
        call('DEL', h)
        if call('EXISTS', P .. 'q:' .. key) == 0 then call('ZREM', K, key) end
      else
        if e.modes[key] == 'x' then exclusive = exclusive - 1 end
        if own == 1 then
          call('HDEL', h, e.id, '=' .. e.owner)
          call('HSET', h, 'x', exclusive, 'n', owners - 1)
        else
          call('HDEL', h, e.id)
          call('HSET', h, 'x', exclusive, '=' .. e.owner, own - 1)
        end
      end
    end
  end

  -- dequeue undoes enqueue.
  local function dequeue(e)
    for _, key in ipairs(e.keys) do
      call('ZREM', P .. 'q:' .. key, e.id)
      if e.modes[key] == 'x' then call('ZREM', P .. 'e:' .. key, e.id) end
      if call('EXISTS', P .. 'q:' .. key, P .. 'h:' .. key) == 0 then call('ZREM', K, key) end
    end
    call('ZREM', P .. 'w:' .. e.priority, e.id)
  end

  -- vacate takes a live request out of whatever its state had put it into.
  local function vacate(e)
    if e.state == QUEUED then return dequeue(e) end
    yield(e)
    if e.state == OFFERED then
      offered = offered - 1
      return
    end
    held = held - 1
    if call('HINCRBY', N, e.subject, -1) <= 0 then call('HDEL', N, e.subject) end
  end

  -- finish ends a request; it stays readable for ENDED. The caller promotes who
  -- waited for it, and sets e.amended when the decision or the reason is new.
  local function finish(e, state, what, why, by)
    local left = e.state
    vacate(e)
    call('ZREM', L, e.id)
    call('SREM', P .. 'o:' .. e.owner, e.id)
    call('ZADD', Z, '0', e.id)
    e.state, e.ended = state, now
    e.offer_until, e.attended, e.alive_until = 0, '0', 0
    if e.amended then
      save(e, 'd', e.d, 'y', e.y)
    else
      save(e)
    end
    record(e, what, left, why, by)
  end

  -- offer gives a waiter its turn. Nobody comes back to a place that has lapsed,
  -- so the offer does not outlast it.
  local function offer(e)
    seize(e)
    dequeue(e)
    e.state, e.offer_until = OFFERED, now + (e.attended == '1' and OFFER or POLL)
    if e.attended ~= '1' and e.alive_until ~= 0 then e.offer_until = math.min(e.offer_until, e.alive_until) end
    offered = offered + 1
    save(e)
    record(e, 'lock_offered', QUEUED)
  end

  -- held_by is the owner of the exclusive holders of a key.
  local function held_by(key)
    for _, f in ipairs(call('HKEYS', P .. 'h:' .. key)) do
      if string.sub(f, 1, 1) == '=' then return string.sub(f, 2) end
    end
  end

  -- promote_own offers what waits at a key that is held exclusively: only
  -- requests of its holders' owner can move, up to the first exclusive one that
  -- cannot.
  local function promote_own(key, owner)
    if call('SCARD', P .. 'o:' .. owner) == 1 then return end -- the holder itself
    local own = {}
    for _, id in ipairs(call('SMEMBERS', P .. 'o:' .. owner)) do
      local score = call('ZSCORE', P .. 'q:' .. key, id)
      if score then own[#own + 1] = { id = id, score = tonumber(score) } end
    end
    table.sort(own, function(a, b) return ahead(a.score, a.id, b) end)
    for _, w in ipairs(own) do
      local first = call('ZRANGE', P .. 'e:' .. key, 0, 0, 'WITHSCORES')
      if first[1] and ahead(tonumber(first[2]), first[1], w) then return end
      local e = load(w.id)
      if grantable(e) then offer(e) elseif e.modes[key] == 'x' then return end
    end
  end

  -- promote_at walks one queue from its head. Who can have everything is offered
  -- it; an exclusive request that cannot stops the walk; a shared one that cannot
  -- is blocked at another key, and those behind it may go.
  local function promote_at(key)
    local i = 0
    while true do
      local id = call('ZRANGE', P .. 'q:' .. key, i, i)[1]
      if not id then return end
      local e = load(id)
      if grantable(e) then
        offer(e)
        if e.modes[key] == 'x' then return promote_own(key, e.owner) end
      elseif e.modes[key] == 'x' then
        return
      elseif i == 0 and gate(key, e.owner) > 0 then
        return promote_own(key, held_by(key))
      else
        i = i + 1
      end
    end
  end

  -- before compares by bytes; < would follow the locale of the server.
  local function before(a, b)
    for i = 1, math.min(#a, #b) do
      local x, y = string.byte(a, i), string.byte(b, i)
      if x ~= y then return x < y end
    end
    return #a < #b
  end

  -- promote_all offers what the given requests left behind, or stand in now with
  -- another score: key by key, ascending.
  local function promote_all(list)
    local keys, seen = {}, {}
    for _, e in ipairs(list) do
      for _, key in ipairs(e.keys) do
        if not seen[key] then
          seen[key] = true
          keys[#keys + 1] = key
        end
      end
    end
    if #list > 1 then table.sort(keys, before) end -- those of one request are in order
    for _, key in ipairs(keys) do promote_at(key) end
  end

  local function promote(e) promote_all({ e }) end

  local function lapse_offer(e)
    e.lapses = e.lapses + 1
    if e.lapses >= MAX_LAPSES then
      e.y, e.amended = 'offers lapsed, nobody confirmed', true
      finish(e, TIMED_OUT, 'lock_timeout', e.y)
      return promote(e)
    end
    vacate(e)
    e.state, e.offer_until = QUEUED, 0
    promote(e) -- the others first, as if it were not there
    enqueue(e)
    save(e)
    record(e, 'queued_request', OFFERED, 'offer_lapsed')
    promote(e)
  end

  local function lapse(e)
    if e.state == HELD then
      finish(e, EXPIRED, 'lock_expired')
      promote(e)
    elseif e.state == OFFERED then
      lapse_offer(e)
    elseif e.state == QUEUED then
      e.y, e.amended = e.due < e.wait_until and 'caller was not heard of' or 'wait ran out', true
      finish(e, TIMED_OUT, 'queue_timeout', e.y)
      promote(e)
    else
      call('DEL', P .. 'r:' .. e.id)
      call('ZREM', X, e.id)
      call('ZREM', Z, e.id)
    end
  end

  -- sweep does whatever is due, the longest due first, ties by id, and answers
  -- how much it did: at most limit.
  local function sweep(limit)
    for n = 0, limit - 1 do
      local due = call('ZRANGE', X, 0, 0, 'WITHSCORES')
      if not due[1] then return n end
      local at = tonumber(due[2])
      if at > now then
        if not soonest or at < soonest then soonest = at end
        return n
      end
      local e = load(due[1])
      if e then
        lapse(e)
      else -- its record expired before anybody swept it
        call('ZREM', X, due[1])
        call('ZREM', Z, due[1])
      end
    end
    soonest = now
    return limit
  end

  return {
    dequeue = dequeue, finish = finish, offer = offer, promote = promote, promote_all = promote_all, sweep = sweep,
  }
end

local made
local function machine()
  if not made then made = make_machine() end
  return made
end

-- sweep does what is due and answers how much it did.
local function sweep()
  if not call('ZRANGEBYSCORE', X, '-inf', int(now), 'LIMIT', '0', '1')[1] then return 0 end
  return machine().sweep(SWEEP)
end

-- begin starts every script that changes requests; false: not registered.
local function begin()
  if not open() then return false end
  sweep()
  return true
end

-- peek starts every script that only reads: what is due is swept first, so that
-- nobody reads what is over.
local function peek()
  if not open() then return false end
  if sweep() > 0 then close() end
  return true
end

-- reply ends a script that changed something. Its second element is how many
-- ms until something is due that this step has to do with, -1 never.
local function reply(code, ...)
  close()
  return { code, soonest and math.max(soonest - now, 0) or -1, ... }
end
