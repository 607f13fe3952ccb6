-- ARGV: writer, number, what is expected, how many. Results: 'rows|…', 'conflict'.
local c = find(key)
local done = repeated(c, ARGV[1], ARGV[2])
if done then return done end
if not expected(c, ARGV[3]) then return 'conflict' end
local wanted = c and math.min(tonumber(ARGV[4]), c.count - c.archived) or 0
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
