-- ARGV: writer, number, what is expected, JSON. Results: '1', '0', 'conflict'.
--@begun
if not expected(c, ARGV[3]) then return 'conflict' end
if not c then return '0' end
local at = now()
remember(c, ARGV[1], ARGV[2], at, '1')
local old = described()
if old then redis.call('ZREM', key, old) end
redis.call('ZADD', key, '+inf', written(c, at), '+inf', '#' .. ARGV[4])
sealed(c)
return '1'
