-- Result: the header or '', the newest message's serial and id ('' and '' if there is none), the
-- state's member or '', what the conversation has left or ''; nothing if there is nothing.
local c = find(key)
local found = redis.call('ZRANGEBYSCORE', c and key or beside(), '-inf', '-inf')
if not c and #found == 0 then return {} end
local serial, id = '', ''
if c then
  local rank = before() + c.count - 1
  serial, id = string.match(redis.call('ZRANGE', key, rank, rank)[1], '^.(%d+)|([^|]*)')
end
return { c and c.text or '', serial, id, found[1] or '', found[2] or '' }
