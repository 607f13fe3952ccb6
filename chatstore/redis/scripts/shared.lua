-- What the scripts share; each gets the functions that it uses, and those before it that they use.
-- The layout is described in rows.py.
--
-- KEYS[1] is the conversation, a sorted set; KEYS[2] what its writers did last, a hash.
-- Nothing here is half done: Redis runs a script whole, and refuses one for want of memory at its
-- first command that takes memory. A write that may grow the data therefore begins with such a
-- command, and one that shrinks them does not, so that a full server can be emptied.

local GAP = 1048576
local BASE = 35184372088832 -- 2^45: room for 33 million messages before the first
local MOST = 4503599627370496 -- 2^52: doubles below 2^53 leave room for an insert
local LIFE = 90000 -- milliseconds for which a call may be repeated
local DIGITS = '%.0f' -- tostring() keeps 14
local FULL = 4194304 -- bytes of messages that make a page
local FIELDS = '^~cs1|([^|]+)|(%d*)|(%d+)|(%d+)|(%d+)|(%d+)|(%-?%d+)|(%d+)|(%d+)|(%d+)|%d+|%d*|([^|]*)|(%d*)|(%d*|%d*)$'
local PARTS = '^[^|]*|([^|]*)|[^|]*|[^|]*|[^|]*|[^|]*|(.*)$' -- behind the serial and its bar

local function now()
  local t = redis.call('TIME')
  return t[1] * 1000000 + t[2]
end

-- The header of the conversation under a name, or nil.
local function find(name)
  local text = redis.call('ZRANGE', name, -1, -1)[1]
  if not text then return nil end
  local inc, ttl, created, archived, edge, moved, base, changes, serial, count, writer, number,
    result = string.match(text, FIELDS)
  if not inc then
    local layout = string.match(text, '^~cs(%d+)|')
    if layout and layout ~= '1' then error('CHATSTORE-NEWER') end
    error('CHATSTORE-FOREIGN')
  end
  return {
    text = text, inc = inc, changes = changes, serial = tonumber(serial), count = tonumber(count),
    top = base + serial * GAP, archived = tonumber(archived), edge = edge, moved = moved,
    ttl = ttl, created = created, writer = writer, number = number, result = result,
  }
end

-- A conversation that is about to begin.
local function begin(inc, ttl, at)
  return {
    inc = inc, changes = 0, serial = 0, top = BASE - GAP, count = 0, archived = 0, edge = '0',
    ttl = ttl, created = string.format(DIGITS, at), moved = '0', writer = '', number = '',
    result = '|',
  }
end

-- All messages have gone, and others come. Their ordinals go on rising, so that whoever reads page
-- by page finds them behind those that he has; billions of messages later they begin anew.
local function emptied(c)
  if c.top > MOST then c.top = BASE - GAP end
  c.count, c.archived, c.edge = 0, 0, '0'
end

-- What the header tells of the last append.
local function kept(c)
  return 'kept|' .. c.inc .. '|' .. c.result
end

-- What this call resulted in, if it is a repetition: redis-py sends a command again when its
-- reply is lost. A writer has one call under way at a time, so that its last result is enough: it
-- is in the header if it was an append and nobody else has written since, else in the hash.
-- A call of a writer that has gone on since is a ghost from a dead connection.
local function repeated(c, writer, number)
  local last, result
  if c and c.writer == writer then
    last, result = c.number, kept(c)
  else
    local entry = redis.call('HGET', recent, writer)
    if not entry then return nil end
    last, result = string.match(entry, '^(%d+)|%d+|(.*)$')
  end
  if tonumber(last) < tonumber(number) then return nil end
  return last == number and result or 'late'
end

-- Keep a result in the hash.
local function keep(writer, number, at, result)
  local entry = number .. '|' .. string.format(DIGITS, at) .. '|' .. result
  local new = redis.call('HSET', recent, writer, entry)
  if new == 1 and redis.call('HLEN', recent) % 128 == 0 then
    -- Writers come and go while a conversation is busy: forget those that were long silent.
    local all = redis.call('HGETALL', recent)
    for i = 1, #all, 2 do
      local _, since = string.match(all[i + 1], '^(%d+)|(%d+)|')
      if at - tonumber(since) > LIFE * 1000 then redis.call('HDEL', recent, all[i]) end
    end
  end
  redis.call('PEXPIRE', recent, LIFE)
end

-- Keep the result of an append, in the header that it writes.
local function noted(c, writer, number, at, since, new)
  if c.writer ~= '' and c.writer ~= writer then keep(c.writer, c.number, at, kept(c)) end
  c.writer, c.number, c.result = writer, number, string.format(DIGITS, since) .. '|' .. new
  return kept(c)
end

-- Keep the result of any other write, and what the header of before tells.
local function remember(c, writer, number, at, result)
  if c and c.writer ~= '' then
    keep(c.writer, c.number, at, kept(c))
    c.writer, c.number, c.result = '', '', '|'
  end
  keep(writer, number, at, result)
end

-- Whether the conversation is what the caller expects: '' anything, '0' none, '=…' a revision.
local function expected(c, what)
  if what == '' then return true end
  if not c then return what == '0' end
  return what == '=' .. c.inc .. '-' .. c.changes
end

-- The header after a write at a time; it expires by its ttl, unless a moment is given.
local function written(c, at, expires)
  c.changes = c.changes + 1
  c.ends = c.ttl ~= '' and at + c.ttl
  return table.concat({
    '~cs1', c.inc, c.ttl, c.created, c.archived, c.edge, c.moved,
    string.format(DIGITS, c.top - c.serial * GAP), c.changes, c.serial, c.count,
    string.format(DIGITS, at), expires or '', c.writer, c.number, c.result,
  }, '|')
end

-- Give a key, or that of the conversation, the moment of its end.
local function ending(at, name)
  -- One absolute moment, and at least a millisecond from now: a past one would delete.
  redis.call('PEXPIREAT', name or key, string.format(DIGITS, math.floor((at + 999) / 1000)))
end

-- The last steps of a write: the header of before goes, and the key gets its moment.
local function sealed(c)
  if c.text then redis.call('ZREM', key, c.text) end
  if c.ends then
    ending(c.ends)
  elseif c.text then
    redis.call('PERSIST', key)
  end
end

-- Messages change places with the rank that comes before them: ids.
local function before()
  return redis.call('ZCOUNT', key, '-inf', '(0')
end

-- The metadata of a conversation, as a member; nil if there are none.
local function described()
  local member = redis.call('ZRANGE', key, -2, -2)[1]
  if member and string.byte(member) == 35 then return member end
end

-- Where the state is while there are no messages. The name has the hash tag of the conversation's.
local function beside()
  return key .. ':state'
end

-- A conversation has begun: a state that was there without messages goes with it from now on.
-- append_plain.lua does the same, without making functions.
local function adopted()
  local found = redis.call('ZRANGE', beside(), 0, -1)
  for i = 1, #found do redis.call('ZADD', key, '-inf', found[i]) end
  if #found > 0 then redis.call('UNLINK', beside()) end
end

-- The rank of the message at a Python index; nil out of range.
local function place(c, idx)
  if idx < 0 then idx = idx + c.count end
  if idx < 0 or idx >= c.count then return nil end
  return before() + idx
end

-- How many come before the edge: all of them archived.
local function below(c)
  if c.edge == '0' then return 0 end
  return redis.call('ZCOUNT', key, 1, '(' .. c.edge)
end

-- The caller's id of a member, escaped; '' for none.
local function id_of(member)
  return string.match(member, '^[^|]*|([^|]*)')
end

-- Drafts: a sign, the id, the rest. Members: a sign, the serial, and the draft without its sign.
local function member_of(draft, serial)
  return string.sub(draft, 1, 1) .. string.format(DIGITS, serial) .. '|' .. string.sub(draft, 2)
end

-- Whether the conversation has the draft already, among messages that do not have a sign. First
-- whether it has the id, then, if it has another text under it, what the caller must compare as
-- JSON.
local function known(draft, gone)
  if string.byte(draft, 2) == 124 then return false end -- a bar: no id
  local id = string.match(draft, '^.([^|]*)')
  local at = redis.call('ZSCORE', key, '@' .. id)
  if not at then return false end
  local stored = redis.call('ZRANGEBYSCORE', key, string.sub(at, 2), string.sub(at, 2))[1]
  if string.sub(stored, 1, 1) == gone then return false end
  local format, payload = string.match(string.match(stored, '|(.*)$'), PARTS)
  local format_too, payload_too = string.match(draft, PARTS)
  if format == format_too and payload == payload_too then return true end
  return true, format .. '|' .. payload
end

-- Note a draft for ZADD, at the end of the conversation.
local function put(flat, c, draft, serial)
  c.top = c.top + GAP
  if string.byte(draft) == 45 then c.archived = c.archived + 1 end -- a minus: archived
  flat[#flat + 1] = string.format(DIGITS, c.top)
  flat[#flat + 1] = member_of(draft, serial)
  if string.byte(draft, 2) ~= 124 then
    flat[#flat + 1] = string.format(DIGITS, -c.top)
    flat[#flat + 1] = '@' .. string.match(draft, '^.([^|]*)')
  end
  if #flat >= 4000 then -- unpack() has a limit
    redis.call('ZADD', key, unpack(flat))
    return {}
  end
  return flat
end

-- The members of a sign, each with its score, in order.
local function signed(c, sign)
  local first, byte, found = before(), string.byte(sign), {}
  local from, to = 0, c.count - 1
  local edge = below(c)
  if sign == '+' then
    from = edge
  elseif edge == c.archived then
    to = edge - 1
  end
  for at = from, to, 1000 do
    local last = math.min(at + 999, to)
    local part = redis.call('ZRANGE', key, first + at, first + last, 'WITHSCORES')
    for i = 1, #part, 2 do
      if string.byte(part[i]) == byte then
        found[#found + 1] = part[i]
        found[#found + 1] = part[i + 1]
      end
    end
  end
  return found
end

-- Remove what `signed` found, with its ids.
local function drop(c, sign, found)
  local names = {}
  for i = 1, #found, 2 do
    names[#names + 1] = found[i]
    local id = id_of(found[i])
    if id ~= '' then names[#names + 1] = '@' .. id end
    if #names >= 4000 or i + 1 == #found then
      redis.call('ZREM', key, unpack(names))
      names = {}
    end
  end
  c.count = c.count - #found / 2
  if sign == '-' then c.archived, c.edge = 0, '0' end
end

-- Put members and their scores behind `flat`, from a rank to another: a page ends behind the member
-- that makes it full. The server tells the size of none before it is read, so they come by a few.
local function paged(flat, from, to)
  local size = 0
  for rank = from, to, 8 do
    local part = redis.call('ZRANGE', key, rank, math.min(rank + 7, to), 'WITHSCORES')
    for i = 1, #part, 2 do
      flat[#flat + 1] = part[i]
      flat[#flat + 1] = part[i + 1]
      size = size + #part[i]
      if size >= FULL then return flat end
    end
  end
  return flat
end

-- How many of the active messages a call is about that wants so many.
local function due(c, wanted)
  return c and math.min(tonumber(wanted), c.count - c.archived) or 0
end

-- The oldest active members, each with its score: as many as are wanted, and there are so many.
local function oldest(c, wanted)
  local rank, found = before() + below(c), {} -- everything below the edge is archived already
  while #found < 2 * wanted do
    local step = math.max(64, wanted - #found / 2)
    local flat = redis.call('ZRANGE', key, rank, rank + step - 1, 'WITHSCORES')
    if #flat == 0 then error('CHATSTORE-COUNTS') end
    rank = rank + step
    for i = 1, #flat, 2 do
      if string.byte(flat[i]) == 43 and #found < 2 * wanted then -- a plus: active
        found[#found + 1] = flat[i]
        found[#found + 1] = flat[i + 1]
      end
    end
  end
  return found
end

-- Members with their scores, as one text: they hold no line break.
local function joined(c, flat)
  return 'rows|' .. c.inc .. '\n' .. table.concat(flat, '\n')
end
