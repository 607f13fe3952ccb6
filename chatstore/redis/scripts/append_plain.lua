-- What is written all day: active messages without ids. It is append.lua in fewer steps, for in a
-- script this short it is Lua that takes the time, and neither Redis nor the network: the header
-- is one match and one string, and not a table.
-- ARGV: writer, number, ttl of a new one, what is expected, members behind their serials…
-- Results: as in append.lua.
local PLAIN = '^(~cs1|([^|]+)|(%d*)|%d+|%d+|%d+|%d+|(%-?%d+)|)(%d+)|(%d+)|(%d+)|%d+|(%d*)' ..
  '|([^|]*)|(%d*)|(%d*|%d*)$'
local writer, number, ttl = ARGV[1], ARGV[2], ARGV[3]
local text = redis.call('ZRANGE', key, -1, -1)[1]
local fixed, inc, base, changes, serial, count, expires, was, last, result
if text then
  fixed, inc, ttl, base, changes, serial, count, expires, was, last, result =
    string.match(text, PLAIN)
  if not fixed then find(key) end -- which says what it is
end
if was == writer then
  if last == number then return 'kept|' .. inc .. '|' .. result end
  if tonumber(last) > tonumber(number) then return 'late' end
else
  local done = repeated(nil, writer, number)
  if done then return done end
end
if ARGV[4] ~= '' and ARGV[4] ~= (text and '=' .. inc .. '-' .. changes or '0') then
  return 'conflict'
end
local at = now()
local updated = string.format(DIGITS, at)
if not text then
  inc, base, changes, serial, count = writer .. '.' .. number, BASE - GAP, 0, 0, 0
  fixed = '~cs1|' .. inc .. '|' .. ttl .. '|' .. updated .. '|0|0|0|' .. base .. '|'
elseif was ~= writer and was ~= '' then
  keep(was, last, at, 'kept|' .. inc .. '|' .. result)
end
local new = #ARGV - 4
result = string.format('%.0f|%d', serial + 1, new)
local flat = {
  '+inf', fixed .. changes + 1 .. '|' .. serial + new .. '|' .. count + new .. '|' .. updated ..
    '||' .. writer .. '|' .. number .. '|' .. result
}
for i = 5, #ARGV do
  serial = serial + 1
  flat[#flat + 1] = base + serial * GAP
  flat[#flat + 1] = '+' .. serial .. ARGV[i]
  if #flat >= 4000 then -- unpack() has a limit
    redis.call('ZADD', key, unpack(flat))
    flat = {}
  end
end
if #flat > 0 then redis.call('ZADD', key, unpack(flat)) end
if text then redis.call('ZREM', key, text) end
if ttl ~= '' then
  ending(at + ttl)
elseif expires ~= '' then
  redis.call('PERSIST', key)
end
return 'kept|' .. inc .. '|' .. result
