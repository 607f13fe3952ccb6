-- ARGV: writer, number, ttl of a new one, what is expected, the sign of those that are replaced
-- or '' for all, drafts… Results: as in append.lua.
--@begun
if not expected(c, ARGV[4]) then return 'conflict' end
local OFF = 5
local sign = ARGV[5]
local gone = {}
if c and sign ~= '' then gone = signed(c, sign) end
local any = #gone > 0 or (c and sign == '')
if #ARGV == OFF and not any then return 'kept|||' end
local new, skip = #ARGV - OFF, nil
if c and sign ~= '' then
  for i = OFF + 1, #ARGV do
    local is, other = known(ARGV[i], sign)
    if other then return 'other|' .. (i - OFF - 1) .. '|' .. other end
    if is then
      skip = skip or {}
      skip[i] = true
      new = new - 1
    end
  end
end
if new == 0 and not any then return 'kept|||' end
local at = now()
local left = new
if c and sign ~= '' then left = left + c.count - #gone / 2 end
if left == 0 then
  redis.call('UNLINK', key)
  remember(c, ARGV[1], ARGV[2], at, 'kept|||')
  return 'kept|||'
end
remember(c, ARGV[1], ARGV[2], at, 'kept|||')
local flat = {}
if c and sign ~= '' then
  drop(c, sign, gone)
elseif c then
  local metadata = described()
  if metadata then flat = { '+inf', metadata } end
  local state = redis.call('ZRANGEBYSCORE', key, '-inf', '-inf')
  for i = 1, #state do
    flat[#flat + 1] = '-inf'
    flat[#flat + 1] = state[i]
  end
  redis.call('UNLINK', key)
  c.text = nil
  emptied(c)
else
  c = begin(ARGV[1] .. '.' .. ARGV[2], ARGV[3], at)
  c.begins = true
end
c.count = c.count + new
for i = OFF + 1, #ARGV do
  if not (skip and skip[i]) then
    c.serial = c.serial + 1
    flat = put(flat, c, ARGV[i], c.serial)
  end
end
redis.call('ZADD', key, '+inf', written(c, at), unpack(flat))
if c.begins then adopted() end
sealed(c)
return 'kept|||'
