-- ARGV: writer, number. Results: '1', '0'.
--@begun
local alone = redis.call('UNLINK', beside())
redis.call('UNLINK', key)
local at, result = now(), (c or alone > 0) and '1' or '0'
-- What the writers did last holds text, too. That they did it stays known: a late repetition would
-- bring a message back.
local all = redis.call('HGETALL', recent)
for i = 1, #all, 2 do
  local number = string.match(all[i + 1], '^(%d+)|')
  redis.call('HSET', recent, all[i], number .. '|' .. string.format(DIGITS, at) .. '|late')
end
remember(c, ARGV[1], ARGV[2], at, result)
return result
