-- ARGV: writer, number. Results: '1', '0'. What the writers did last holds text, too.
local done = repeated(ARGV[1], ARGV[2])
if done then return done end
local result = find(key) and '1' or '0'
redis.call('UNLINK', key, recent)
remember(ARGV[1], ARGV[2], now(), result)
return result
