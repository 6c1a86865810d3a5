//! The scripts. Each gets the same keys, so that a namespace's five are one thing; each is sent by its hash, and whole only if the server
//! doesn't know it yet.

use ::redis::{Script, ScriptInvocation};

use super::super::Namespace;

/// In front of every key of ours.
pub(super) const PREFIX: &str = "defguard-openid:";

/// What all of them begin with. `v` values, `n` names in order, `e` when what expires, `b` bytes, `all` the namespaces.
const COMMON: &str = r"
local v, n, e, b, all = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local function live(name, now)
  local value = redis.call('HGET', v, name)
  if not value then return false end
  local expires = redis.call('ZSCORE', e, name)
  if expires and tonumber(expires) <= now then return false end
  return value
end
local function drop(name, path)
  local size = redis.call('HSTRLEN', v, name)
  if redis.call('HDEL', v, name) == 1 then redis.call('DECRBY', b, size + path) end
  redis.call('ZREM', n, name)
  redis.call('ZREM', e, name)
end
";

const GET: &str = r"
return live(ARGV[1], tonumber(ARGV[2]))
";

const TAKE: &str = r"
local value = live(ARGV[1], tonumber(ARGV[2]))
drop(ARGV[1], tonumber(ARGV[3]))
return value
";

/// name, now, value, expires (empty: stays), conditional, has expected, expected, length of the path, bytes, entries. 1: done; 0: another
/// value is there; 2: the quota.
const WRITE: &str = r"
local name, value, path = ARGV[1], ARGV[3], tonumber(ARGV[8])
if ARGV[5] == '1' then
  local there = live(name, tonumber(ARGV[2]))
  if ARGV[6] == '1' then
    if there ~= ARGV[7] then return 0 end
  elseif there then
    return 0
  end
end
local has = redis.call('HEXISTS', v, name) == 1
local used = tonumber(redis.call('GET', b) or '0') + #value + path
local entries = redis.call('HLEN', v)
if has then
  used = used - redis.call('HSTRLEN', v, name) - path
else
  entries = entries + 1
end
if used > tonumber(ARGV[9]) or entries > tonumber(ARGV[10]) then return 2 end
redis.call('HSET', v, name, value)
redis.call('ZADD', n, 0, name)
if ARGV[4] == '' then redis.call('ZREM', e, name) else redis.call('ZADD', e, ARGV[4], name) end
redis.call('SET', b, string.format('%.0f', used))
redis.call('SADD', all, ARGV[11])
return 1
";

/// from, to, limit, now. The last name that was looked at, if there may be more; and what is live of those.
const LIST: &str = r"
local limit = tonumber(ARGV[3])
local names = redis.call('ZRANGEBYLEX', n, ARGV[1], ARGV[2], 'LIMIT', 0, limit)
local found = {}
for _, name in ipairs(names) do
  local value = live(name, tonumber(ARGV[4]))
  if value then table.insert(found, {name, value}) end
end
local last = false
if #names == limit then last = names[#names] end
return {last, found}
";

/// now, how many, length of the namespace and its slash.
const SWEEP: &str = r"
local names = redis.call('ZRANGEBYSCORE', e, '-inf', ARGV[1], 'LIMIT', 0, tonumber(ARGV[2]))
for _, name in ipairs(names) do drop(name, tonumber(ARGV[3]) + #name) end
return #names
";

/// name, now, the value that is there, the value in its place.
const REPLACE: &str = r"
if live(ARGV[1], tonumber(ARGV[2])) ~= ARGV[3] then return 0 end
redis.call('HSET', v, ARGV[1], ARGV[4])
redis.call('INCRBY', b, #ARGV[4] - #ARGV[3])
return 1
";

/// All of them.
pub(super) struct Scripts {
    pub(super) get: Script,
    pub(super) take: Script,
    pub(super) write: Script,
    pub(super) list: Script,
    pub(super) sweep: Script,
    pub(super) replace: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        let script = |text: &str| Script::new(&format!("{COMMON}{text}"));
        Self {
            get: script(GET),
            take: script(TAKE),
            write: script(WRITE),
            list: script(LIST),
            sweep: script(SWEEP),
            replace: script(REPLACE),
        }
    }
}

/// A namespace's keys, in the scripts' order.
pub(super) fn keys(invocation: &mut ScriptInvocation<'_>, namespace: &Namespace) {
    names(invocation, namespace.as_str());
}

/// As [`keys`], by the namespace's name. The braces keep them on one server of a cluster.
pub(super) fn names(invocation: &mut ScriptInvocation<'_>, namespace: &str) {
    for kind in ["values", "names", "expiry", "bytes"] {
        invocation.key(format!("{PREFIX}{{{namespace}}}:{kind}"));
    }
    invocation.key(format!("{PREFIX}namespaces"));
}
