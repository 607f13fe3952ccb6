-- ARGV: writer, number, what is expected. Results: 'rows|…', 'none', 'conflict'.
local c = find(key)
local done = repeated(c, ARGV[1], ARGV[2])
if done then return done end
if not expected(c, ARGV[3]) then return 'conflict' end
if not c then return 'none' end
local result = joined(c, redis.call('ZRANGE', key, before(c), -1, 'WITHSCORES'))
redis.call('UNLINK', key)
remember(c, ARGV[1], ARGV[2], now(), result)
return result
