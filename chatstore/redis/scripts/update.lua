-- ARGV: writer, number, what is expected, draft, index. Results: 'rows|…' the old one, 'none',
-- 'conflict', 'taken' for an id that another message has.
--@begun
if not expected(c, ARGV[3]) then return 'conflict' end
local rank = c and place(c, tonumber(ARGV[5]))
if not rank then return 'none' end
local old = redis.call('ZRANGE', key, rank, rank, 'WITHSCORES')
local was, id = id_of(old[1]), string.match(ARGV[4], '^.([^|]*)')
if id ~= '' and id ~= was and redis.call('ZSCORE', key, '@' .. id) then return 'taken' end
local at, result = now(), joined(c, old)
remember(c, ARGV[1], ARGV[2], at, result)
-- The sign, and with it the status, is the old one's; so is the serial.
local sign, serial = string.match(old[1], '^(.)(%d+)')
local new = sign .. serial .. '|' .. string.sub(ARGV[4], 2)
if new ~= old[1] then redis.call('ZREM', key, old[1]) end
if was ~= '' and was ~= id then redis.call('ZREM', key, '@' .. was) end
redis.call('ZADD', key, '+inf', written(c, at), old[2], new)
if id ~= '' then redis.call('ZADD', key, '-' .. old[2], '@' .. id) end
sealed(c)
return result
