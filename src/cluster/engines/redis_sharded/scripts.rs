//! Scripts. Redis carries out each of them in one step.

use crate::cluster::engines::redis_number::with_next;

/// Writes an entry into the log, and publishes it where official nodes receive it, if there is such a
/// channel.
pub(super) const APPEND: &str = with_next!(
    "\
redis.call('SPUBLISH', ARGV[1], next() .. 'E' .. ARGV[3])
if ARGV[2] ~= '' then
  redis.call('SPUBLISH', ARGV[2], ARGV[3])
end
return 1"
);

/// Writes into the log what an official node has published, if that was not done before.
pub(super) const ADOPT: &str = with_next!(
    "\
local heard = tonumber(redis.call('GET', KEYS[2]) or '0')
if tonumber(ARGV[2]) <= heard then
  return 0
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('SPUBLISH', ARGV[1], next() .. ARGV[4])
return 1"
);

/// Publishes the marker of a node that hears a channel from now on. If it is the first one of this crate,
/// writes into the log that nobody was there before.
pub(super) const HEAR: &str = with_next!(
    "\
redis.call('SPUBLISH', ARGV[2], ARGV[3])
if redis.call('PUBSUB', 'SHARDNUMSUB', ARGV[4])[2] == 0 then
  redis.call('SPUBLISH', ARGV[1], next() .. 'S' .. ARGV[5])
end
return 1"
);

/// Publishes a marker with a number that is above all earlier ones, also above those that Redis has
/// forgotten in a restart: it is at least the time. It says which number came before it.
pub(super) const MARK: &str = "\
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
local t = redis.call('TIME')
local n = math.max(before + 1, t[1] * 1000000 + t[2])
redis.call('SET', KEYS[1], string.format('%.0f', n))
local d = '%020.0f'
redis.call('SPUBLISH', ARGV[1],
  string.format(d, n) .. 'M' .. string.format(d, before) .. ARGV[2])
return 1";

/// Publishes the same in two channels.
pub(super) const PUBLISH_TWICE: &str = "\
redis.call('SPUBLISH', ARGV[1], ARGV[3])
redis.call('SPUBLISH', ARGV[2], ARGV[3])
return 1";
