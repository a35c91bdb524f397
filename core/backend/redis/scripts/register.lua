-- Lets requests into a namespace that stands in the index.
--
-- KEYS  1  the namespace's clock, lg:{ns}:c
-- Reply ok
redis.call('HSET', KEYS[1], 'reg', 1)
redis.call('PERSIST', KEYS[1])
return redis.status_reply('OK')
