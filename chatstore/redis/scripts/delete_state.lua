-- ARGV: writer, number, what is expected. Results: '1', '0', 'conflict'.
--@begun
local there = c and c.inc .. '-' .. c.changes
if not c then
  local state = redis.call('ZRANGE', beside(), 0, 0)[1]
  if state then there = '~' .. string.match(state, '^[^|]*|([^|]*)') end
end
if ARGV[3] ~= '' and ARGV[3] ~= (there and '=' .. there or '0') then return 'conflict' end
if not there then return '0' end
redis.call('UNLINK', key, beside())
remember(c, ARGV[1], ARGV[2], now(), '1')
return '1'
