-- A page of a conversation. ARGV: how many messages are before it, how many it has at most.
-- Result: the header, how many messages there are in all, the metadata's member or '', the state's
-- or '', that of what the conversation has left or '', then members and scores in turn; nothing if
-- it is absent.
local c = find(key)
if not c then return {} end
local state = redis.call('ZRANGEBYSCORE', key, '-inf', '-inf')
-- Not what the header counts: a damaged one is read, too.
local all = redis.call('ZCOUNT', key, 1, '(+inf')
local from = before() + ARGV[1]
local to = math.min(from + ARGV[2], before() + all) - 1
return paged({ c.text, tostring(all), described() or '', state[1] or '', state[2] or '' }, from, to)
