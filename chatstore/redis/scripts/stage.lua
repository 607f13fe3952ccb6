-- Builds a conversation aside. KEYS: where, what the writers of its key did last.
-- ARGV: writer, number, token, ttl, drafts… Result: 'kept'. What nobody adopts goes in an hour.
local done = repeated(nil, ARGV[1], ARGV[2])
if done then return done end
local at = now()
remember(nil, ARGV[1], ARGV[2], at, 'kept')
local c = find(key) or begin(ARGV[3], ARGV[4], at)
local flat = {}
for i = 5, #ARGV do
  c.serial = c.serial + 1
  c.count = c.count + 1
  flat = put(flat, c, ARGV[i], c.serial)
end
redis.call('ZADD', key, '+inf', written(c, at), unpack(flat))
if c.text then redis.call('ZREM', key, c.text) end
redis.call('PEXPIRE', key, 3600000)
return 'kept'
