-- Takes a retired namespace out of the index unless it was announced since.
--
-- KEYS  1  the index of namespaces, lg:namespaces
-- ARGV  1  namespace
--       2  its score as read before it was retired
-- Reply 1 when it is out
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('ZREM', KEYS[1], ARGV[1])
