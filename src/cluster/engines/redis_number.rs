//! How Redis numbers entries, in its scripts.
//!
//! Numbers in Lua are exact up to 2^53. The time in microseconds is below that until 2255.

/// Draws the next number and writes it with 20 digits. One that has no predecessor (the key was deleted)
/// begins at the time, so that it is above all earlier ones.
macro_rules! with_next {
    ($script:literal) => {
        concat!(
            "\
local function next()
  local n = redis.call('INCR', KEYS[1])
  if n == 1 then
    local t = redis.call('TIME')
    n = t[1] * 1000000 + t[2]
    redis.call('SET', KEYS[1], string.format('%.0f', n))
  end
  return string.format('%020.0f', n)
end
",
            $script
        )
    };
}
pub(super) use with_next;
