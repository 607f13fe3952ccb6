-- Messages with ids, or archived ones; append_plain.lua has the others.
-- ARGV: writer, number, ttl of a new one, what is expected, drafts…
-- Results: 'kept|incarnation|serial|number', where the drafts' serials count on from that one by
-- their places, and so many are new; 'conflict'; 'other|place|format|payload' for an id that is
-- stored with another text.
--@begun
local OFF = 4
local new, skip = #ARGV - OFF, nil
if c then
  for i = OFF + 1, #ARGV do
    local is, other = known(ARGV[i])
    if other then return 'other|' .. (i - OFF - 1) .. '|' .. other end
    if is then
      skip = skip or {}
      skip[i] = true
      new = new - 1
    end
  end
end
if new == 0 then return 'kept|' .. (c and c.inc or '') .. '|0|0' end
if not expected(c, ARGV[4]) then return 'conflict' end
local at = now()
c = c or begin(ARGV[1] .. '.' .. ARGV[2], ARGV[3], at)
local first = c.serial + 1
local result = noted(c, ARGV[1], ARGV[2], at, first, new)
c.serial = c.serial + #ARGV - OFF
c.count = c.count + new
local flat = {}
for i = OFF + 1, #ARGV do
  if not (skip and skip[i]) then flat = put(flat, c, ARGV[i], first + i - OFF - 1) end
end
redis.call('ZADD', key, '+inf', written(c, at), unpack(flat))
if not c.text then adopted() end
sealed(c)
return result
