-- ARGV: writer, number, what is expected, ttl or ''. Results: '1', '0', 'conflict'.
--@begun
if not expected(c, ARGV[3]) then return 'conflict' end
if not c then return '0' end
local at = now()
remember(c, ARGV[1], ARGV[2], at, '1')
c.ttl = ARGV[4]
redis.call('ZADD', key, '+inf', written(c, at))
sealed(c)
return '1'
