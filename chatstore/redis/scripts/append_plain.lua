-- What is written all day: active messages without ids. It is append.lua in fewer steps, for in a
-- script this short it is Lua that takes the time, not Redis: the header is one match and one
-- string and no table, and shared functions are made only where they are needed.
-- ARGV: writer, number, ttl of a new one, what is expected, members behind their serials…
-- Results: the header; or, as append.lua has them, 'kept|…' and 'conflict'.
local argv, call = ARGV, redis.call
local writer, number, ttl = argv[1], argv[2], argv[3]
local text = call('ZRANGE', key, -1, -1)[1]
local fixed, inc, base, changes, serial, count, was, last
if text then
  fixed, inc, ttl, base, changes, serial, count, was, last = string.match(text,
    '^(~cs1|([^|]+)|(%d*)|%d+|%d+|%d+|%d+|(%-?%d+)|)(%d+)|(%d+)|(%d+)|%d+|%d*|([^|]*)|(%d*)|')
end
if was == writer then
  if last == number then return text end
  if tonumber(last) > tonumber(number) then return 'late' end
else
--@shared
  local c = find(key)
  local done = repeated(c, writer, number)
  if done then return done end
  if not expected(c, argv[4]) then return 'conflict' end
  if not c then
    inc, base, changes, serial, count = writer .. '.' .. number, BASE - GAP, 0, 0, 0
    local created = string.format(DIGITS, now())
    fixed = '~cs1|' .. inc .. '|' .. ttl .. '|' .. created .. '|0|0|0|' .. base .. '|'
  elseif was ~= '' then
    keep(was, last, now(), kept(c))
  end
end
if argv[4] ~= '' and text and argv[4] ~= '=' .. inc .. '-' .. changes then return 'conflict' end
local t = call('TIME')
local at = t[1] * 1000000 + t[2]
local new = #argv - 4
local header = fixed .. changes + 1 .. '|' .. serial + new .. '|' .. count + new .. '|' ..
  string.format(DIGITS, at) .. '||' .. writer .. '|' .. number .. '|' .. serial + 1 .. '|' .. new
if new == 1 then
  serial = serial + 1
  call('ZADD', key, '+inf', header, base + serial * GAP, '+' .. serial .. argv[5])
else
  local flat = { '+inf', header }
  for i = 5, #argv do
    serial = serial + 1
    flat[#flat + 1] = base + serial * GAP
    flat[#flat + 1] = '+' .. serial .. argv[i]
    if #flat >= 4000 or i == #argv then -- unpack() has a limit
      call('ZADD', key, unpack(flat))
      flat = {}
    end
  end
end
if text then
  call('ZREM', key, text)
else
  -- As `adopted` does it.
  local found = call('ZRANGE', key .. ':state', 0, -1)
  for i = 1, #found do call('ZADD', key, '-inf', found[i]) end
  if #found > 0 then call('UNLINK', key .. ':state') end
end
if ttl ~= '' then
  -- As `ending` has it. Without a ttl there is nothing to take back: no end is without a ttl.
  call('PEXPIREAT', key, math.floor((at + ttl + 999) / 1000))
end
return header
