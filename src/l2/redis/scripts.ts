import { createHash } from "node:crypto";

/** A script that the engine runs atomically. */
export interface Script {
  readonly text: string;
  /** The hash by which an engine that has run the script identifies it. */
  readonly sha1: string;
}

/**
 * The prelude of all scripts. ARGV[1] is the base of the shard's names (layout.ts), ARGV[2] a tenant. All names that a
 * script uses are in that shard.
 */
const PRELUDE = String.raw`
local base, tenant = ARGV[1], ARGV[2]
local state, tenants = base .. 's', base .. 't'

local function number(text) return tonumber(text or '0') or 0 end
local function text(value) return string.format('%.0f', value) end

local function micros()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- A full engine refuses a write that needs room, unless the script has written before.
local function begin() redis.call('HDEL', state, '') end

local function unescape(key)
  return (string.gsub(key, '\1([\1\2])', function(char) return char == '\1' and '\0' or '\1' end))
end

local function escaped(member) return string.sub(member, 1, string.find(member, '\0', 1, true) - 1) end
local function headOf(member) return base .. 'o:' .. tenant .. '\0' .. unescape(escaped(member)) end
local function chunk(generation, index) return base .. 'c:' .. generation .. ':' .. index end

local function drop(member)
  if redis.call('ZREM', base .. 'i:' .. tenant, member) == 0 then return end
  redis.call('HINCRBY', tenants, tenant, text(0 - string.match(member, '(%d+):%d+$')))
end

local function unindex(key)
  local range = redis.call('ZRANGEBYLEX', base .. 'i:' .. tenant, '[' .. key .. '\0', '(' .. key .. '\1')
  for _, member in ipairs(range) do drop(member) end
end

-- Notes a change in the log that all servers read (change_log.ts); a server without an id does not.
local function note(server, what)
  if server == '' then return end
  local n = redis.call('HINCRBY', state, 'n', 1)
  redis.call('XADD', base .. 'l', 'MAXLEN', '~', 10000, '*', 'n', n, 's', server, 'w', what)
end

local function noteKey(server, key) note(server, 'k' .. tenant .. '\0' .. unescape(key)) end

-- Chunks that no head names any more stay for a while, for loads that are still reading them.
local function retire(generation, chunks, graceMs)
  for index = 0, number(chunks) - 1 do redis.call('PEXPIRE', chunk(generation, index), graceMs) end
end

-- The latest change of a key: of what is there, of what was deleted there, or a clear.
local function latest(head, tomb)
  local floors = redis.call('HMGET', state, 'floor', 'floor:' .. tenant)
  return math.max(
    number(redis.call('HGET', head, 't')), number(redis.call('GET', tomb)), number(floors[1]), number(floors[2])
  )
end
`;

/**
 * Returns the number of a new change of an object, and whether the object exists. The number is higher than that of
 * every earlier change; normally it is the engine's time in microseconds. KEYS: head, tomb.
 */
export const TICKET: Script = script(`
local next = math.max(latest(KEYS[1], KEYS[2]) + 1, micros())
return {text(next), redis.call('EXISTS', KEYS[1])}
`);

/**
 * Makes an object visible in place of another. KEYS: head, tomb. ARGV: 3 escaped key, 4 ticket, 5 generation, 6 number
 * of chunks, 7 metadata, 8 size, 9 expiry (for the index), 10 time to live, 11 grace for replaced chunks, 12 age in
 * microseconds from which a ticket is void, 13 server, 14 bytes if there are no chunks. Returns the outcome, and the
 * metadata of the replaced object.
 */
export const COMMIT: Script = script(String.raw`
local head, key, ticket, generation = KEYS[1], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local chunks, ttlMs = tonumber(ARGV[6]), ARGV[10]
local old = redis.call('HMGET', head, 'g', 'n', 'm')
if old[1] == generation then return {'stored'} end
if micros() - ticket > tonumber(ARGV[12]) then return {'late'} end
if latest(head, KEYS[2]) > ticket then return {'superseded'} end
for index = 0, chunks - 1 do
  if redis.call('EXISTS', chunk(generation, index)) == 0 then return {'lost'} end
end
redis.call('HSET', head, 'm', ARGV[7], 'g', generation, 'n', chunks, 't', ARGV[4])
if chunks == 0 then redis.call('HSET', head, 'b', ARGV[14]) else redis.call('HDEL', head, 'b') end
redis.call('PEXPIRE', head, ttlMs)
for index = 0, chunks - 1 do redis.call('PEXPIRE', chunk(generation, index), ttlMs + ARGV[11]) end
if old[1] then retire(old[1], old[2], ARGV[11]) end
unindex(key)
local index = base .. 'i:' .. tenant
-- An engine may have evicted the index, and then counts from nothing again.
if redis.call('EXISTS', index) == 0 then redis.call('HSET', tenants, tenant, 0) end
redis.call('HINCRBY', tenants, tenant, ARGV[8])
redis.call('ZADD', index, 0, key .. '\0' .. ARGV[8] .. ':' .. ARGV[9])
if ticket > number(redis.call('HGET', state, 'last')) then redis.call('HSET', state, 'last', ARGV[4]) end
redis.call('DEL', KEYS[2])
noteKey(ARGV[13], key)
return {'stored', old[3]}
`);

/**
 * Deletes the object that was there when a ticket was taken, and remembers the deletion for as long as an older change
 * can arrive late. KEYS: head, tomb. ARGV: 3 escaped key, 4 ticket, 5 grace, 6 time to remember the deletion, 7 age in
 * microseconds from which a ticket is void, 8 server. Returns the outcome, and the metadata of the deleted object.
 */
export const DELETE: Script = script(`
local head, ticket = KEYS[1], tonumber(ARGV[4])
if micros() - ticket > tonumber(ARGV[7]) then return {'late'} end
if latest(head, KEYS[2]) > ticket then return {'superseded'} end
local old = redis.call('HMGET', head, 'g', 'n', 'm')
begin()
redis.call('UNLINK', head)
if old[1] then retire(old[1], old[2], ARGV[5]) end
unindex(ARGV[3])
redis.call('SET', KEYS[2], text(math.max(ticket, micros())), 'PX', ARGV[6])
noteKey(ARGV[8], ARGV[3])
return {'deleted', old[3]}
`);

/**
 * Removes one generation of an object that has expired or is damaged. KEYS: head, tomb. ARGV: 3 escaped key, 4
 * generation, 5 grace, 6 time to remember the removal. Returns 1 if it was still there.
 */
export const REMOVE: Script = script(`
local old = redis.call('HMGET', KEYS[1], 'g', 'n', 't')
if old[1] ~= ARGV[4] then return 0 end
begin()
redis.call('UNLINK', KEYS[1])
retire(old[1], old[2], ARGV[5])
unindex(ARGV[3])
if old[3] then redis.call('SET', KEYS[2], old[3], 'PX', ARGV[6]) end
return 1
`);

/**
 * Checks some entries of an index, continuing from call to call, and drops those whose objects the engine has evicted
 * or expired. KEYS: state. ARGV: 3 number of entries. Returns the tenant and the dropped entries.
 */
export const SWEEP: Script = script(`
begin()
tenant = redis.call('HRANDFIELD', tenants)
if not tenant then return {} end
local index, cursors = base .. 'i:' .. tenant, base .. 'w'
local cursor = redis.call('HGET', cursors, tenant)
local page = redis.call('ZRANGEBYLEX', index, cursor and '(' .. cursor or '-', '+', 'LIMIT', 0, ARGV[3])
local dropped = {tenant}
for _, member in ipairs(page) do
  if redis.call('EXISTS', headOf(member)) == 0 then
    drop(member)
    dropped[#dropped + 1] = member
  end
end
if #page < tonumber(ARGV[3]) then
  redis.call('HDEL', cursors, tenant)
  if redis.call('EXISTS', index) == 0 then redis.call('HDEL', tenants, tenant) end
else
  redis.call('HSET', cursors, tenant, page[#page])
end
return dropped
`);

/**
 * Reads the log of changes. KEYS: state. ARGV: 3 the entry to continue after ("": none, but the last one is returned),
 * 4 number of entries. Returns the number of changes so far, the engine's time in microseconds, and the entries.
 */
export const READ_LOG: Script = script(`
local log = base .. 'l'
local entries = ARGV[3] == '' and redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)
  or redis.call('XRANGE', log, '(' .. ARGV[3], '+', 'COUNT', ARGV[4])
return {redis.call('HGET', state, 'n') or '0', text(micros()), entries}
`);

/** Adds up the objects of all tenants, and their bytes. KEYS: state. */
export const TOTALS: Script = script(`
local objects, bytes, counts = 0, 0, redis.call('HGETALL', tenants)
for at = 1, #counts, 2 do
  local count = redis.call('ZCARD', base .. 'i:' .. counts[at])
  objects = objects + count
  if count > 0 then bytes = bytes + number(counts[at + 1]) end
end
return {text(objects), text(bytes)}
`);

/**
 * Begins a clear and returns its number. Objects with a lower or equal number are removed, and changes with a lower one
 * are rejected from now on. KEYS: state. ARGV: 3 the field that stores the number, 4 server.
 */
export const FLOOR: Script = script(`
local floor = text(math.max(micros(), number(redis.call('HGET', state, 'last'))))
begin()
redis.call('HSET', state, ARGV[3], floor)
note(ARGV[4], ARGV[3] == 'floor' and 'a' or 't' .. tenant)
return floor
`);

/**
 * Removes some objects of a clear, with their chunks. KEYS: state. ARGV: 3 number of the clear, 4 the entry to continue
 * after ("": from the start), 5 number of entries. Returns the entry to continue after ("" at the end), and the removed
 * entries.
 */
export const CLEAR: Script = script(`
begin()
local index = base .. 'i:' .. tenant
local min = ARGV[4] == '' and '-' or '(' .. ARGV[4]
local page = redis.call('ZRANGEBYLEX', index, min, '+', 'LIMIT', 0, ARGV[5])
local result = {#page < tonumber(ARGV[5]) and '' or page[#page]}
for _, member in ipairs(page) do
  local head = headOf(member)
  local old = redis.call('HMGET', head, 'g', 'n', 't')
  if number(old[3]) <= tonumber(ARGV[3]) then
    redis.call('UNLINK', head)
    for i = 0, number(old[2]) - 1 do redis.call('UNLINK', chunk(old[1], i)) end
    drop(member)
    if old[1] then result[#result + 1] = member end
  end
end
return result
`);

/**
 * Removes one object of a clear that is in no index. KEYS: head. ARGV: 3 number of the clear, 4 escaped key. Returns
 * the metadata of the removed object, or nothing.
 */
export const CLEAR_ONE: Script = script(`
local old = redis.call('HMGET', KEYS[1], 'g', 'n', 't', 'm')
if not old[1] or number(old[3]) > tonumber(ARGV[3]) then return {} end
begin()
redis.call('UNLINK', KEYS[1])
for i = 0, number(old[2]) - 1 do redis.call('UNLINK', chunk(old[1], i)) end
unindex(ARGV[4])
return {old[4] or ''}
`);

function script(body: string): Script {
  const text = `${PRELUDE}${body}`;
  return { text, sha1: createHash("sha1").update(text).digest("hex") };
}
