/**
 * What Redis does for us in one step each: no replica sees half of a change, and none overwrites one it has not seen.
 *
 * A change gets the next number, and `changes` holds the latest number of each id: whoever remembers the last number it
 * took in asks for what came after. Times are those of Redis, so clocks of replicas need not agree.
 *
 * Keys, of one hash slot: `sessions` id to sealed row; `changes` ids by number; `meta` the last number, the epoch and the
 * key's fingerprint; `replicas` name to when it was heard of and what it had taken in; `usage:<id>` what a session reserved
 * each way, in all and at each host, `hosts:<id>` the hosts it met, `recent:<id>` its requests of the last minute by replica.
 */

/** So many changes are remembered; who missed more reads everything. */
export const changesMax = 100_000
/** Of the seal, in base64url, before the dot and the body. */
export const sealLength = 43

const bump = `
local seq = redis.call('HINCRBY', KEYS[3], 'seq', 1)
redis.call('ZADD', KEYS[2], seq, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', seq - ${changesMax})
redis.call('PUBLISH', KEYS[4], seq)
return seq`

/**
 * KEYS sessions, changes, meta, channel, idempotency key. ARGV id, row, seal of the row this replaces (empty: there is
 * none; star: whatever there is), milliseconds the idempotency key is held (0: there is none).
 */
export const writeRow = `
local now = redis.call('HGET', KEYS[1], ARGV[1])
if now == ARGV[2] then return tonumber(redis.call('HGET', KEYS[3], 'seq')) end
if ARGV[3] ~= '*' and (now and string.sub(now, 1, ${sealLength}) or '') ~= ARGV[3] then return -1 end
if ARGV[4] ~= '0' then
  local holder = redis.call('GET', KEYS[5])
  if holder and holder ~= ARGV[1] and redis.call('HEXISTS', KEYS[1], holder) == 1 then return -2 end
  redis.call('SET', KEYS[5], ARGV[1], 'PX', ARGV[4])
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])${bump}`

/** KEYS sessions, changes, meta, channel, usage, hosts, recent. ARGV id. */
export const removeRow = `
redis.call('DEL', KEYS[5], KEYS[6], KEYS[7])
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return tonumber(redis.call('HGET', KEYS[3], 'seq') or '0') end${bump}`

/** KEYS meta. ARGV epoch, fingerprint of the key. What stands there: who comes first writes it. */
export const meet = `
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
redis.call('HSETNX', KEYS[1], 'key', ARGV[2])
return { redis.call('HGET', KEYS[1], 'epoch'), redis.call('HGET', KEYS[1], 'key'), redis.call('HGET', KEYS[1], 'seq') or '0' }`

/**
 * KEYS sessions, changes, meta, replicas. ARGV name, number to start from, most rows, last number taken in. It is also the sign of life.
 * Epoch, last number, number up to which this answer goes, then id and row (empty: gone) in turn.
 */
export const changesSince = `
local time = redis.call('TIME')
redis.call('HSET', KEYS[4], ARGV[1], time[1] * 1000 + math.floor(time[2] / 1000) .. ' ' .. ARGV[4])
local seq = redis.call('HGET', KEYS[3], 'seq') or '0'
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[2], '+inf', 'LIMIT', 0, ARGV[3])
local upTo = seq
if #ids == tonumber(ARGV[3]) then upTo = redis.call('ZSCORE', KEYS[2], ids[#ids]) end
local answer = { redis.call('HGET', KEYS[3], 'epoch') or '', seq, upTo }
for _, id in ipairs(ids) do
  answer[#answer + 1] = id
  answer[#answer + 1] = redis.call('HGET', KEYS[1], id) or ''
end
return answer`

/**
 * KEYS replicas. ARGV own name, number, how long ago a replica may have been heard of, after how long it is forgotten.
 * Names of those that have not taken in the number.
 */
export const laggards = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local behind = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local at, seq = string.match(all[i + 1], '^(%d+) (%d+)$')
  local silent = now - tonumber(at or 0)
  if silent > tonumber(ARGV[4]) then redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] ~= ARGV[1] and silent <= tonumber(ARGV[3]) and tonumber(seq) < tonumber(ARGV[2]) then behind[#behind + 1] = all[i] end
end
return behind`

/**
 * KEYS sessions, usage, hosts, recent. ARGV id, name, requests of the last minute, hosts known, then of each wish the host,
 * bytes up and their limit, bytes down and theirs. Requests elsewhere, totals and grants of each wish, then all hosts where
 * more are known; nothing for a session that is not there. What there is no room for is not granted.
 */
export const reserve = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[4], ARGV[2], now .. ' ' .. ARGV[3])
local recent = 0
local all = redis.call('HGETALL', KEYS[4])
for i = 1, #all, 2 do
  local at, count = string.match(all[i + 1], '^(%d+) (%d+)$')
  if now - tonumber(at) > 60000 then redis.call('HDEL', KEYS[4], all[i])
  elseif all[i] ~= ARGV[2] then recent = recent + tonumber(count) end
end
local answer = { string.format('%d', recent) }
local function take(field, bytes, limit)
  local total = tonumber(redis.call('HGET', KEYS[2], field) or '0')
  if bytes > 0 then bytes = math.min(bytes, math.max(0, limit - total)) end
  if bytes ~= 0 then redis.call('HSET', KEYS[2], field, string.format('%.0f', total + bytes)) end
  answer[#answer + 1] = string.format('%.0f', total + bytes)
  answer[#answer + 1] = string.format('%.0f', bytes)
end
for i = 5, #ARGV, 5 do
  if ARGV[i] ~= '' then redis.call('SADD', KEYS[3], ARGV[i]) end
  take('u:' .. ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]))
  take('d:' .. ARGV[i], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]))
end
if redis.call('SCARD', KEYS[3]) ~= tonumber(ARGV[4]) then
  for _, host in ipairs(redis.call('SMEMBERS', KEYS[3])) do answer[#answer + 1] = host end
end
return answer`

/** KEYS replicas. ARGV name. */
export const leave = `return redis.call('HDEL', KEYS[1], ARGV[1])`
