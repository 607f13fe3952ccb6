-- ARGV: writer, number, ttl, what is expected, draft, index. Results: as in append.lua.
--@begun
local draft = ARGV[5]
if c then
  local is, other = known(draft)
  if other then return 'other|0|' .. other end
  if is then return 'kept|' .. c.inc .. '|0|0' end
end
if not expected(c, ARGV[4]) then return 'conflict' end
local at = now()
c = c or begin(ARGV[1] .. '.' .. ARGV[2], ARGV[3], at)
local idx = tonumber(ARGV[6])
if idx < 0 then idx = math.max(0, idx + c.count) end
c.serial = c.serial + 1
local result = noted(c, ARGV[1], ARGV[2], at, c.serial, '1')
local ordinal
if idx >= c.count then
  c.top = c.top + GAP
  ordinal = c.top
else
  local rank = before() + idx
  local function ordinal_at(r)
    return tonumber(redis.call('ZRANGE', key, r, r, 'WITHSCORES')[2])
  end
  local function bounds()
    local behind = ordinal_at(rank)
    if idx > 0 then return ordinal_at(rank - 1), behind end
    return math.max(0, behind - 2 * GAP), behind
  end
  local low, high = bounds()
  local size = 32
  while high - low < 2 do
    -- The gap is full: space the neighbourhood evenly, the smallest one that is wide enough.
    local from = math.max(0, idx - size)
    local to = math.min(c.count - 1, idx + size)
    local first = rank - idx + from
    local left = from > 0 and ordinal_at(first - 1) or 0
    local right = to < c.count - 1 and ordinal_at(first + to - from + 1) or (c.top + GAP)
    local n = to - from + 1
    local step = math.floor((right - left) / (n + 1))
    if step >= 1024 or n == c.count then
      local members = redis.call('ZRANGE', key, first, first + n - 1)
      local archived = below(c)
      for i, member in ipairs(members) do
        local score = left + i * step
        redis.call('ZADD', key, string.format(DIGITS, score), member)
        local id = id_of(member)
        if id ~= '' then redis.call('ZADD', key, string.format(DIGITS, -score), '@' .. id) end
        if to == c.count - 1 then c.top = math.max(c.top, score) end
      end
      c.moved = c.moved + 1
      local edge = 0 -- not the one of before: active messages may lie below that by now
      if archived > 0 then
        edge = archived == c.count and c.top + 1 or ordinal_at(before() + archived)
      end
      c.edge = string.format(DIGITS, edge)
      low, high = bounds()
    end
    size = size * 2
  end
  ordinal = math.floor((low + high) / 2)
end
c.count = c.count + 1
if string.byte(draft) == 45 then
  c.archived = c.archived + 1
elseif ordinal < tonumber(c.edge) then
  c.edge = string.format(DIGITS, ordinal)
end
redis.call(
  'ZADD', key, '+inf', written(c, at), string.format(DIGITS, ordinal), member_of(draft, c.serial))
if string.byte(draft, 2) ~= 124 then
  redis.call('ZADD', key, string.format(DIGITS, -ordinal), '@' .. string.match(draft, '^.([^|]*)'))
end
if not c.text then adopted() end
sealed(c)
return result
