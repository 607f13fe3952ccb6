-- ARGV: status ('' for all, '+', '-'), last, start, stop; the three as Python's, '' for None.
-- Result: the incarnation, then members and scores in turn; nothing if it is absent.
local c = find(key)
if not c then return {} end
local status = ARGV[1]
local last, start, stop = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- The part [from, to) of n things that the window is.
local function bounds(n)
  if last then return math.max(0, n - last), n end
  local from, to = start or 0, stop or n
  if from < 0 then from = math.max(0, from + n) end
  if to < 0 then to = math.max(0, to + n) end
  return math.min(from, n), math.min(to, n)
end

local function range(from, to)
  if from >= to then return {} end
  local first = before()
  return redis.call('ZRANGE', key, first + from, first + to - 1, 'WITHSCORES')
end

local flat
if status == '' then
  flat = range(bounds(c.count))
elseif below(c) == c.archived then
  -- The archived ones are the oldest ones.
  local n = status == '-' and c.archived or c.count - c.archived
  local from, to = bounds(n)
  local shift = status == '-' and 0 or c.archived
  flat = range(from + shift, to + shift)
else
  -- They are mixed, which only an insertion among archived ones does: look at each, from the
  -- newest on, until there are enough.
  local sign = string.byte(status)
  local n = status == '-' and c.archived or c.count - c.archived
  local from, to = bounds(n)
  local picked, number, upper = {}, n, c.count -- the one found next is number - 1
  while number > from and upper > 0 do
    local lower = math.max(0, upper - 256)
    local part = range(lower, upper)
    for i = #part - 1, 1, -2 do
      if string.byte(part[i]) == sign then
        number = number - 1
        if number >= from and number < to then
          picked[#picked + 1] = part[i + 1]
          picked[#picked + 1] = part[i]
        end
      end
    end
    upper = lower
  end
  flat = {}
  for i = #picked, 1, -1 do flat[#flat + 1] = picked[i] end
end
table.insert(flat, 1, c.inc)
return flat
