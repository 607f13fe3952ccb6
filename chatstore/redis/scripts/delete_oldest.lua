-- ARGV: writer, number, what is expected, how many. Results: 'rows|…', 'conflict'.
--@begun
if not expected(c, ARGV[3]) then return 'conflict' end
local wanted = due(c, ARGV[4])
if wanted == 0 then return 'rows|' end
local gone = oldest(c, wanted)
local at, result = now(), joined(c, gone)
if wanted == c.count then
  redis.call('UNLINK', key)
  remember(c, ARGV[1], ARGV[2], at, result)
  return result
end
drop(c, '+', gone)
c.edge = string.format(DIGITS, gone[#gone] + 1)
remember(c, ARGV[1], ARGV[2], at, result)
redis.call('ZADD', key, '+inf', written(c, at))
sealed(c)
return result
