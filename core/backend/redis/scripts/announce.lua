-- Enters namespaces into the index, or says again that they are in use. The
-- score says when, in µs, and is never given twice.
--
-- KEYS  1  the index of namespaces, lg:namespaces
-- ARGV  1… namespaces
-- Reply the score of the last one, decimal
local t = redis.call('TIME')
local top = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local score = math.max(t[1] * 1000000 + t[2], (tonumber(top[2]) or 0) + 1)
for _, name in ipairs(ARGV) do
  redis.call('ZADD', KEYS[1], string.format('%.0f', score), name)
  score = score + 1
end
return string.format('%.0f', score - 1)
