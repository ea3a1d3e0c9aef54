"""The keys of the control plane in Redis, and the scripts that change them: each happens whole or not at all.

All keys share one hash tag, so a cluster keeps them together. The clock is the server's.
"""

from __future__ import annotations

STATE, TALLIES, REPORTED = "{stillroom}:state", "{stillroom}:tallies:", "{stillroom}:reported"
PRESENCES, SEEN, EVENTS, KEYS = (f"{{stillroom}}:{name}" for name in ("presences", "seen", "events", "keys"))

NOW = "local t = redis.call('TIME'); local now = t[1] + t[2] / 1e6; "
SWAP = """
if tonumber(redis.call('HGET', KEYS[1], 'generation') or '0') ~= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'generation', ARGV[2], 'body', ARGV[3])
return 1
"""
REPORT = f"""{NOW}
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[3])
"""
PRESENT = f"""{NOW}
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
"""
APPEND = f"{NOW} return redis.call('RPUSH', KEYS[1], string.format('%.6f ', now) .. ARGV[1])"
FIRST = f"{NOW} return redis.call('ZADD', KEYS[1], 'NX', now, ARGV[1])"
FORGET = f"""{NOW}
local before = now - ARGV[1]
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', before)
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', before)) do
  redis.call('HDEL', KEYS[2], worker)
  redis.call('ZREM', KEYS[3], worker)
end
local newest = tonumber(redis.call('HGET', KEYS[1], 'generation') or '0')
for _, generation in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', before)) do
  if tonumber(generation) < newest then
    redis.call('DEL', ARGV[2] .. generation)
    redis.call('ZREM', KEYS[5], generation)
  end
end
"""
