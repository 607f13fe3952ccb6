-- Puts what was staged in its place. KEYS: the place, what its writers did last, where it was
-- staged. ARGV: writer, number, what may be there ('none': nothing; 'state': a state alone, which
-- goes with the conversation and not the staged one; 'any': all, and it goes), when it was created, updated, expires ('': by
-- its ttl from now on; 'never'), its metadata as JSON. Results: 'kept', 'exists', 'lost'.
local old = find(key)
local done = repeated(old, ARGV[1], ARGV[2])
if done then return done end
local c = find(KEYS[3])
if not c then return 'lost' end
local lone = redis.call('EXISTS', beside()) == 1
if old and ARGV[3] ~= 'any' or lone and ARGV[3] == 'none' then
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
if lone and ARGV[3] == 'any' then
  redis.call('UNLINK', beside())
elseif lone then
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '-inf')
  adopted()
end
if expires then
  ending(expires)
else
  redis.call('PERSIST', key)
end
remember(old, ARGV[1], ARGV[2], at, 'kept')
return 'kept'
