-- ARGV: as in append.lua; no id comes twice. Results: 'kept', 'conflict'.
local c = find(key)
local done = repeated(c, ARGV[1], ARGV[2])
if done then return done end
if not expected(c, ARGV[4]) then return 'conflict' end
local OFF = 4
if not c and #ARGV == OFF then return 'kept' end
local at = now()
if #ARGV == OFF then
  redis.call('UNLINK', key)
  remember(c, ARGV[1], ARGV[2], at, 'kept')
  return 'kept'
end
remember(c, ARGV[1], ARGV[2], at, 'kept')
local metadata = nil
if c then
  local second = redis.call('ZRANGE', key, 1, 1)[1]
  if second and string.byte(second) == 35 then metadata = second end
  redis.call('UNLINK', key)
  c.text, c.expires = nil, ''
end
c = c or begin(ARGV[1] .. '.' .. ARGV[2], ARGV[3], at)
c.top, c.count, c.archived, c.edge = BASE - GAP, #ARGV - OFF, 0, '0'
local flat = {}
for i = OFF + 1, #ARGV do
  local draft = ARGV[i]
  c.serial = c.serial + 1
  flat = put(flat, c, ARGV[i], c.serial)
end
if metadata then
  flat[#flat + 1] = '-inf'
  flat[#flat + 1] = metadata
end
redis.call('ZADD', key, '-inf', written(c, at), unpack(flat))
sealed(c)
return 'kept'
