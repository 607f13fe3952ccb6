-- How a script that writes begins: `c` is the conversation, or nil; what was done already is not
-- done again.
local c = find(key)
local done = repeated(c, ARGV[1], ARGV[2])
if done then return done end
