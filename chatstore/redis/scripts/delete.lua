-- ARGV: writer, number, what is expected, the sign of those that are removed or '' for all.
-- Results: 'rows|…', 'none', 'conflict'.
--@begun
if not expected(c, ARGV[3]) then return 'conflict' end
local sign, gone = ARGV[4], nil
if not c then
  if sign == '' then redis.call('UNLINK', beside()) end
  return 'none'
end
if sign == '' then
  local first = before()
  gone = redis.call('ZRANGE', key, first, first + c.count - 1, 'WITHSCORES')
else
  gone = signed(c, sign)
end
local at, result = now(), joined(c, gone)
if #gone == 0 then return result end
if #gone == 2 * c.count then
  redis.call('UNLINK', key)
  remember(c, ARGV[1], ARGV[2], at, result)
  return result
end
drop(c, sign, gone)
remember(c, ARGV[1], ARGV[2], at, result)
redis.call('ZADD', key, '+inf', written(c, at))
sealed(c)
return result
