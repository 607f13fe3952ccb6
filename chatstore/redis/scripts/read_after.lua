-- ARGV: how many, and the row behind which they are: ordinal, serial, incarnation; or nothing.
-- Result: as in read.lua, and fewer where they are long.
local c = find(key)
if not c or ARGV[2] and c.inc ~= ARGV[4] then return {} end -- it has gone; another may be there
local first = before()
local rank = first
if ARGV[2] then
  local ordinal = ARGV[2]
  local function is_it(member)
    return member and string.match(member, '^.(%d+)|') == ARGV[3]
  end
  local there = redis.call('ZRANGEBYSCORE', key, ordinal, ordinal)[1]
  if not is_it(there) and c.moved ~= '0' then
    -- It is gone, or the ordinals were spaced anew: look for it.
    local r = rank
    while true do
      local part = redis.call('ZRANGE', key, r, r + 255, 'WITHSCORES')
      for i = 1, #part, 2 do
        if is_it(part[i]) then ordinal = part[i + 1] end
      end
      if #part == 0 then break end
      r = r + 256
    end
  end
  rank = rank + redis.call('ZCOUNT', key, 1, ordinal)
end
local last = math.min(rank + tonumber(ARGV[1]), first + c.count) - 1
return paged({ c.inc }, rank, last)
