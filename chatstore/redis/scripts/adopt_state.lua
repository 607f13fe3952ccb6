-- Puts a state that was staged by itself in its place. KEYS: the conversation that is not there,
-- what its writers did last, where it was staged. ARGV: writer, number, 'none' or 'any' (what may
-- be there), when it expires or ''. Results: 'kept', 'exists', 'lost'.
local old = find(key)
local done = repeated(old, ARGV[1], ARGV[2])
if done then return done end
if redis.call('EXISTS', KEYS[3]) == 0 then return 'lost' end
if ARGV[3] ~= 'any' and (old or redis.call('EXISTS', beside()) == 1) then
  redis.call('UNLINK', KEYS[3])
  return 'exists'
end
local at = now()
redis.call('UNLINK', key)
redis.call('RENAME', KEYS[3], beside())
if ARGV[4] == '' then
  redis.call('PERSIST', beside())
else
  ending(ARGV[4], beside())
end
remember(old, ARGV[1], ARGV[2], at, 'kept')
return 'kept'
