-- Puts what was staged in its place. KEYS: the place, what its writers did last, where it was
-- staged. ARGV: writer, number, 'absent' or 'any', when it was created, updated, expires ('': by
-- its ttl from now on; 'never'), its metadata as JSON. Results: 'kept', 'exists', 'lost'.
local old = find(key)
local done = repeated(old, ARGV[1], ARGV[2])
if done then return done end
local c = find(KEYS[3])
if not c then return 'lost' end
if old and ARGV[3] == 'absent' then
  redis.call('UNLINK', KEYS[3])
  return 'exists'
end
local at = now()
local updated = tonumber(ARGV[5]) or at
redis.call('UNLINK', key)
redis.call('RENAME', KEYS[3], key)
if ARGV[4] ~= '' then c.created = ARGV[4] end
local expires = tonumber(ARGV[6])
if ARGV[6] == '' and c.ttl ~= '' then expires = at + c.ttl end
c.changes = 0
redis.call('ZREM', key, c.text)
redis.call('ZADD', key, '+inf', written(c, updated, string.format(DIGITS, expires or 0)))
if ARGV[7] ~= '{}' then redis.call('ZADD', key, '+inf', '#' .. ARGV[7]) end
adopted()
if expires then
  ending(expires)
else
  redis.call('PERSIST', key)
end
remember(old, ARGV[1], ARGV[2], at, 'kept')
return 'kept'
