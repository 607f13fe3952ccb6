-- ARGV: writer, number, what is expected, how many. Results: 'rows|…', 'conflict'.
local c = find(key)
local done = repeated(c, ARGV[1], ARGV[2])
if done then return done end
if not expected(c, ARGV[3]) then return 'conflict' end
local wanted = c and math.min(tonumber(ARGV[4]), c.count - c.archived) or 0
if wanted == 0 then return 'rows|' end
-- Everything below the edge is archived already.
local rank = before() + below(c)
local found = {}
while #found < 2 * wanted do
  local step = math.max(64, wanted - #found / 2)
  local flat = redis.call('ZRANGE', key, rank, rank + step - 1, 'WITHSCORES')
  if #flat == 0 then error('CHATSTORE-COUNTS') end
  rank = rank + step
  for i = 1, #flat, 2 do
    if string.byte(flat[i]) == 43 and #found < 2 * wanted then -- a plus: active
      found[#found + 1] = '-' .. string.sub(flat[i], 2)
      found[#found + 1] = flat[i + 1]
    end
  end
end
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
