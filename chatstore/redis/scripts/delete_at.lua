-- ARGV: writer, number, what is expected, index, the sign of those that it counts or '' for all.
-- Results: 'rows|…', 'none', 'conflict'.
--@begun
if not expected(c, ARGV[3]) then return 'conflict' end
if not c then return 'none' end
local idx, sign, row = tonumber(ARGV[4]), ARGV[5], nil
local n = c.count
if sign ~= '' then n = sign == '-' and c.archived or c.count - c.archived end
if idx < 0 then idx = idx + n end
if idx < 0 or idx >= n then return 'none' end
if sign == '' or below(c) == c.archived then
  -- The archived ones, if it counts others, are the oldest ones.
  local rank = before() + idx + (sign == '+' and c.archived or 0)
  row = redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')
else
  local found = signed(c, sign)
  row = { found[2 * idx + 1], found[2 * idx + 2] }
end
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
