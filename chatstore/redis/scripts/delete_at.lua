-- ARGV: writer, number, what is expected, index. Results: 'rows|…', 'none', 'conflict'.
--@begun
if not expected(c, ARGV[3]) then return 'conflict' end
local rank = c and place(c, tonumber(ARGV[4]))
if not rank then return 'none' end
local row = redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')
local at, result, id = now(), joined(c, row), id_of(row[1])
if c.count == 1 then
  redis.call('UNLINK', key)
else
  redis.call('ZREM', key, row[1])
  if id ~= '' then redis.call('ZREM', key, '@' .. id) end
  c.count = c.count - 1
  if string.byte(row[1]) == 45 then c.archived = c.archived - 1 end
  redis.call('ZADD', key, '+inf', written(c, at))
  sealed(c)
end
remember(c, ARGV[1], ARGV[2], at, result)
return result
