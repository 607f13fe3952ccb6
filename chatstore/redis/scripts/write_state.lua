-- ARGV: writer, number, ttl of a new one, what is expected, 'replace' or 'append', when the state
-- was written, its scope, its body, what the conversation has left ('' nothing; '?' as it is),
-- drafts…
-- Results: 'kept|revision', 'conflict', 'other|…' as in append.lua.
--@begun
local OFF = 9
local state, left =
  unpack(redis.call('ZRANGEBYSCORE', c and key or beside(), '-inf', '-inf'))
local seen, ttl
if state and not c then seen, ttl = string.match(state, '^[^|]*|([^|]*)|(%d*)|') end
local there = c and c.inc .. '-' .. c.changes or seen and '~' .. seen
if ARGV[4] ~= '' and ARGV[4] ~= (there and '=' .. there or '0') then return 'conflict' end
local replaces, skip, new = ARGV[5] == 'replace', {}, #ARGV - OFF
if c and not replaces then
  for i = OFF + 1, #ARGV do
    local is, other = known(ARGV[i])
    if other then return 'other|' .. (i - OFF - 1) .. '|' .. other end
    if is then
      skip[i] = true
      new = new - 1
    end
  end
end
local at, mine = now(), ARGV[1] .. '.' .. ARGV[2]
local alone = new == 0 and (not c or replaces)
local result
if alone then
  ttl = c and c.ttl or ttl or ARGV[3]
  seen = mine
  if ttl ~= '' then seen = seen .. '@' .. string.format(DIGITS, at + ttl) end
  result = 'kept|~' .. seen
else
  seen = (c and c.inc or mine) .. '-' .. (c and c.changes + 1 or 1)
  result = 'kept|' .. seen
end
remember(c, ARGV[1], ARGV[2], at, result)
local flat = {
  '-inf', table.concat({ '$' .. ARGV[6], seen, alone and ttl or '', ARGV[7], ARGV[8] }, '|')
}
local parted = left
if ARGV[9] ~= '?' then parted = ARGV[9] ~= '' and '%' .. ARGV[9] or nil end
if parted then
  flat[3] = '-inf'
  flat[4] = parted
end
if alone then
  redis.call('UNLINK', key, beside())
  redis.call('ZADD', beside(), unpack(flat))
  if ttl ~= '' then ending(at + ttl, beside()) end
  return result
end
if not c then
  c = begin(mine, ttl or ARGV[3], at)
  redis.call('UNLINK', beside())
elseif replaces then
  local metadata = described()
  if metadata then
    flat[#flat + 1] = '+inf'
    flat[#flat + 1] = metadata
  end
  redis.call('UNLINK', key)
  c.text = nil
  emptied(c)
else
  if state then redis.call('ZREM', key, state) end
  if left and left ~= parted then redis.call('ZREM', key, left) end
end
c.count = c.count + new
for i = OFF + 1, #ARGV do
  if not skip[i] then
    c.serial = c.serial + 1
    flat = put(flat, c, ARGV[i], c.serial)
  end
end
redis.call('ZADD', key, '+inf', written(c, at), unpack(flat))
sealed(c)
return result
