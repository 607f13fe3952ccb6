-- ARGV: writer, number, what is expected, how many. Results: 'rows|…', 'conflict'.
--@begun
if not expected(c, ARGV[3]) then return 'conflict' end
local wanted = due(c, ARGV[4])
if wanted == 0 then return 'rows|' end
local found = oldest(c, wanted)
for i = 1, #found, 2 do found[i] = '-' .. string.sub(found[i], 2) end
local at, result = now(), joined(c, found)
remember(c, ARGV[1], ARGV[2], at, result)
for i = 1, #found, 2 do
  redis.call('ZREM', key, '+' .. string.sub(found[i], 2))
  redis.call('ZADD', key, found[i + 1], found[i])
end
c.archived = c.archived + wanted
c.edge = string.format(DIGITS, found[#found] + 1)
redis.call('ZADD', key, '+inf', written(c, at))
sealed(c)
return result
