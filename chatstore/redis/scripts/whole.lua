-- Everything of a conversation: milliseconds to live (-1: for ever), then all members and scores
-- in turn. Nothing if it is absent.
local c = find(key)
if not c then return {} end
local flat = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
table.insert(flat, 1, string.format(DIGITS, redis.call('PTTL', key)))
return flat
