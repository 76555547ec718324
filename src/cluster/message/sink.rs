//! Where messages are written: JSON or msgpack.

use alloc::{string::String, vec::Vec};

use bytes::Bytes;

use crate::{
    cluster::msgpack,
    socket::{push_decimal, push_string},
};

pub(super) trait Sink {
    /// The deepest nesting that is written.
    const MAX_DEPTH: usize;

    /// Begins a map of so many fields.
    fn map(&mut self, len: usize);
    /// The name of a field. Its value follows.
    fn key(&mut self, name: &'static str);
    fn end_map(&mut self);
    /// Begins an array of so many elements.
    fn array(&mut self, len: usize);
    /// The next element follows.
    fn item(&mut self);
    fn end_array(&mut self);
    fn nil(&mut self);
    fn bool(&mut self, value: bool);
    fn uint(&mut self, number: u64);
    fn text(&mut self, text: &str);
    /// A number as text: in JSON, JavaScript would round large ones.
    fn digits(&mut self, number: u64);
    /// A valid JSON text with its attachments. It is not nested deeper than
    /// [`MAX_DEPTH`](Self::MAX_DEPTH).
    fn json(&mut self, json: &str, attachments: &[Bytes]);
}

/// As `JSON.stringify` writes.
pub(super) struct JsonSink {
    pub(super) out: String,
    is_behind: bool,
}

impl JsonSink {
    /// With a place for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), is_behind: false }
    }

    fn separate(&mut self) {
        if self.is_behind {
            self.out.push(',');
        }
        self.is_behind = true;
    }
}

impl Sink for JsonSink {
    /// Official nodes recurse into what they read. An entry on which the stack of one of them
    /// overflows is read by it again and again, and nothing behind it: it stops every official
    /// node. With Node.js 20, 4,000 levels do no harm, and 5,000 do.
    const MAX_DEPTH: usize = 512;

    fn map(&mut self, _: usize) {
        self.out.push('{');
        self.is_behind = false;
    }

    fn key(&mut self, name: &'static str) {
        self.out.push_str(if self.is_behind { ",\"" } else { "\"" });
        // The names in messages need no escapes.
        self.out.push_str(name);
        self.out.push_str("\":");
        self.is_behind = true;
    }

    fn end_map(&mut self) {
        self.out.push('}');
        self.is_behind = true;
    }

    fn array(&mut self, _: usize) {
        self.out.push('[');
        self.is_behind = false;
    }

    fn item(&mut self) {
        self.separate();
    }

    fn end_array(&mut self) {
        self.out.push(']');
        self.is_behind = true;
    }

    fn nil(&mut self) {
        self.out.push_str("null");
    }

    fn bool(&mut self, value: bool) {
        self.out.push_str(if value { "true" } else { "false" });
    }

    fn uint(&mut self, number: u64) {
        push_decimal(&mut self.out, number);
    }

    fn text(&mut self, text: &str) {
        push_string(&mut self.out, text);
    }

    fn digits(&mut self, number: u64) {
        self.out.push('"');
        push_decimal(&mut self.out, number);
        self.out.push('"');
    }

    fn json(&mut self, json: &str, attachments: &[Bytes]) {
        debug_assert!(attachments.is_empty(), "they are written as msgpack");
        self.out.push_str(json);
    }
}

/// As `@msgpack/msgpack` writes.
#[derive(Default)]
pub(super) struct MsgpackSink {
    pub(super) out: Vec<u8>,
}

impl MsgpackSink {
    /// With a place for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes) }
    }
}

impl Sink for MsgpackSink {
    /// What other nodes of this crate read.
    const MAX_DEPTH: usize = msgpack::MAX_DEPTH;

    fn map(&mut self, len: usize) {
        msgpack::push_map(&mut self.out, len);
    }

    fn key(&mut self, name: &'static str) {
        self.text(name);
    }

    fn end_map(&mut self) {}

    fn array(&mut self, len: usize) {
        msgpack::push_array(&mut self.out, len);
    }

    fn item(&mut self) {}

    fn end_array(&mut self) {}

    fn nil(&mut self) {
        msgpack::push_nil(&mut self.out);
    }

    fn bool(&mut self, value: bool) {
        msgpack::push_bool(&mut self.out, value);
    }

    fn uint(&mut self, number: u64) {
        msgpack::push_uint(&mut self.out, number);
    }

    fn text(&mut self, text: &str) {
        msgpack::push_str(&mut self.out, text.as_bytes());
    }

    fn digits(&mut self, number: u64) {
        msgpack::push_str(&mut self.out, itoa::Buffer::new().format(number).as_bytes());
    }

    fn json(&mut self, json: &str, attachments: &[Bytes]) {
        msgpack::from_json(&mut self.out, json, attachments);
    }
}
