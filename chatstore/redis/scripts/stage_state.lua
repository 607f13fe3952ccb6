-- Builds a state aside, by itself or with a conversation. KEYS: where, what the writers of its key
-- did last. ARGV: writer, number, its member, what was left as a member or ''. Result: 'kept'.
local done = repeated(nil, ARGV[1], ARGV[2])
if done then return done end
remember(nil, ARGV[1], ARGV[2], now(), 'kept')
redis.call('ZADD', key, '-inf', ARGV[3])
if ARGV[4] ~= '' then redis.call('ZADD', key, '-inf', ARGV[4]) end
redis.call('PEXPIRE', key, 3600000)
return 'kept'
