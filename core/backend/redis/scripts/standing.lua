-- Queue standing of a request, worked out from ranks, for scripts that read.
-- It comes after the prelude.
local MAX_BLOCKERS = 20

local function make_queues()
  local known = {} -- requests that this read has loaded

  local function fetch(id)
    if known[id] == nil then known[id] = load(id) or false end
    return known[id]
  end

  -- own lists the live requests of an owner at one key.
  local function own_at(key, owner)
    local list = {}
    local function add(id)
      local e = fetch(id)
      if e and e.owner == owner and e.modes[key] then list[#list + 1] = e end
    end
    for _, id in ipairs(call('SMEMBERS', P .. 'o:' .. owner)) do add(id) end
    return list
  end

  -- rank counts the waiters of a queue ahead of e, which need not stand in it.
  local function rank(queue, e)
    local n = call('ZRANK', queue, e.id)
    if n then return n end
    n = call('ZCOUNT', queue, '-inf', '(' .. int(e.score))
    for _, id in ipairs(call('ZRANGEBYSCORE', queue, int(e.score), int(e.score))) do
      if id < e.id then n = n + 1 end
    end
    return n
  end

  -- position is the worst place of a queued request in its queues; 1 is next.
  local function position(e)
    local worst = 0
    if e.state == QUEUED then
      for _, key in ipairs(e.keys) do
        worst = math.max(worst, (call('ZRANK', P .. 'q:' .. key, e.id) or -1) + 1)
      end
    end
    return worst
  end

  local function rivals(e, key) return P .. (e.modes[key] == 's' and 'e:' or 'q:') .. key end

  local function holders(key)
    local ids = {}
    for _, f in ipairs(call('HKEYS', P .. 'h:' .. key)) do
      if #f == 26 and string.sub(f, 1, 1) ~= '=' then ids[#ids + 1] = f end
    end
    table.sort(ids)
    return ids
  end

  -- count_blockers counts whoever conflicts with e at one key and holds it or
  -- waits ahead, without walking the queue.
  local function count_blockers(e, key)
    local mode = e.modes[key]
    local exclusive = gate(key, e.owner)
    local n = mode == 's' and exclusive or #holders(key)
    n = n + rank(rivals(e, key), e)
    for _, o in ipairs(own_at(key, e.owner)) do
      local conflicts = mode == 'x' or o.modes[key] == 'x'
      if conflicts and o.id ~= e.id and (o.state ~= QUEUED or ahead(o.score, o.id, e)) then n = n - 1 end
    end
    return n
  end

  -- blockers answers {total, {id, key, owner, s}...}: at most MAX_BLOCKERS of
  -- whom e waits for: holders and offers of every key first, then the requests
  -- ahead in every queue.
  local function blockers(e)
    local total, list = 0, {}
    local function collect(key, id)
      local b = fetch(id)
      if b and b.owner ~= e.owner and (e.modes[key] == 'x' or b.modes[key] == 'x') then
        list[#list + 1] = { id, key, b.owner, b.s }
      end
      return #list < MAX_BLOCKERS
    end
    for _, key in ipairs(e.keys) do
      total = total + count_blockers(e, key)
      if taken(key, e.modes[key], e.owner) then
        for _, id in ipairs(holders(key)) do
          if not collect(key, id) then break end
        end
      end
    end
    for _, key in ipairs(e.keys) do
      local i = 0
      while #list < MAX_BLOCKERS do
        local w = call('ZRANGE', rivals(e, key), i, i, 'WITHSCORES')
        if not w[1] or not ahead(tonumber(w[2]), w[1], e) then break end
        collect(key, w[1])
        i = i + 1
      end
    end
    return { total, unpack(list) }
  end

  return { fetch = fetch, own_at = own_at, holders = holders, position = position, blockers = blockers }
end

local queues_made
local function queues()
  if not queues_made then queues_made = make_queues() end
  return queues_made
end

-- standing is view with a position and blockers: standing in codec.go.
local function standing(e)
  local v = view(e)
  if e.state == QUEUED then
    v[7], v[8] = queues().position(e), queues().blockers(e)
  else
    v[7], v[8] = 0, { 0 }
  end
  return v
end
