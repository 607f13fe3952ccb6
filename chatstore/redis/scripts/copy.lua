-- KEYS: the target, what its writers did last, the source.
-- ARGV: writer, number, stop or ''.
-- Results: how many; 'missing', 'exists', 'nothing'; 'source|…' what is
-- wrong with the source.
local done = repeated(find(key), ARGV[1], ARGV[2])
if done then return done end
local fine, c = pcall(find, KEYS[3])
if not fine then return 'source|' .. (type(c) == 'table' and c.err or tostring(c)) end
if not c then return 'missing' end
if find(key) then return 'exists' end
local count = c.count
local stop = tonumber(ARGV[3])
if stop then count = stop < 0 and math.max(0, stop + c.count) or math.min(stop, c.count) end
if count == 0 then return 'nothing' end
local at, result = now(), string.format(DIGITS, count)
remember(nil, ARGV[1], ARGV[2], at, result)
redis.call('COPY', KEYS[3], key)
redis.call('ZREMRANGEBYSCORE', key, '-inf', '-inf') -- a state is not copied
if count < c.count then
  local first = before() + count
  local ordinal = redis.call('ZRANGE', key, first, first, 'WITHSCORES')[2]
  redis.call('ZREMRANGEBYSCORE', key, ordinal, '(+inf')
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '-' .. ordinal)
  c.count = count
  if c.archived > 0 then
    c.archived = below(c)
    local rank = before() + c.archived
    while true do
      local part = redis.call('ZRANGE', key, rank, rank + 255)
      if #part == 0 then break end
      for _, member in ipairs(part) do
        if string.byte(member) == 45 then c.archived = c.archived + 1 end
      end
      rank = rank + 256
    end
  end
end
c.writer, c.number, c.result = '', '', '|'
c.inc, c.changes, c.created = ARGV[1] .. '.' .. ARGV[2], 0, string.format(DIGITS, at)
redis.call('ZADD', key, '+inf', written(c, at))
adopted()
sealed(c)
return result
