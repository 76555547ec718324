//! msgpack, as far as the official adapters use it.
//!
//! Official nodes encode with `@msgpack/msgpack`. Values become JSON text with attachments, which is
//! what everything else here works with, and back again.
//!
//! Nothing here recurses, and no length is believed: space is taken for what has been read, not for
//! what is announced.

mod date;
mod number;
mod read;
mod text;
mod to_json;
mod write;

pub(super) use number::push_number;
pub(super) use read::skip;
pub(crate) use read::{Token, read};
pub(super) use text::from_json;
pub(super) use to_json::{MAX_DEPTH, MsgpackError, to_json};
pub(crate) use write::{push_array, push_bin, push_str, push_uint};
pub(super) use write::{push_bool, push_float, push_int, push_map, push_nil, push_time};
