//! The sockets that a message is for.

use alloc::vec::Vec;

use bytestring::ByteString;
use smallvec::SmallVec;

use super::{
    MessageError,
    raw::{Format, Raw},
};
use crate::cluster::msgpack::{self, Token};

type Rooms = SmallVec<[ByteString; 1]>;

/// The sockets that a message is for: rooms, without excepted rooms. `opts` on the wire.
///
/// The room that is named after the id of a socket contains that socket.
///
/// ```
/// use socketio_proto::cluster::message::BroadcastOptions;
///
/// let options = BroadcastOptions::all();
/// assert!(options.is_for_all());
///
/// let options = options.to("lobby").except("3Bk0bBfqCjAhHGg4AAAB");
/// assert!(!options.is_for_all());
/// assert_eq!(options.rooms(), ["lobby"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BroadcastOptions {
    rooms: Rooms,
    except: Rooms,
    /// Whether there were rooms that no text can name.
    has_nameless_rooms: bool,
    /// How it is sent.
    pub flags: BroadcastFlags,
}

impl BroadcastOptions {
    /// Everyone in the namespace.
    pub fn all() -> Self {
        Self::default()
    }

    /// Adds a room. Several rooms are a union.
    #[must_use]
    pub fn to(mut self, room: impl Into<ByteString>) -> Self {
        self.rooms.push(room.into());
        self
    }

    /// Leaves out the sockets of a room, even if they are in one of the other rooms.
    #[must_use]
    pub fn except(mut self, room: impl Into<ByteString>) -> Self {
        self.except.push(room.into());
        self
    }

    /// Sets how it is sent.
    #[must_use]
    pub const fn flags(mut self, flags: BroadcastFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Adds a room that no text can name, and that no socket is in. In JavaScript, `io.to(undefined)`
    /// does that. Without it, a message for this room alone would be for everyone.
    #[must_use]
    pub const fn or_nobody(mut self) -> Self {
        self.has_nameless_rooms = true;
        self
    }

    pub(super) fn push_room(&mut self, room: ByteString) {
        self.rooms.push(room);
    }

    pub(super) fn push_excepted(&mut self, room: ByteString) {
        self.except.push(room);
    }

    pub(super) fn set_rooms(&mut self, (rooms, has_nameless_rooms): (Vec<ByteString>, bool)) {
        self.rooms = rooms.into();
        self.has_nameless_rooms = has_nameless_rooms;
    }

    pub(super) fn set_excepted(&mut self, rooms: Vec<ByteString>) {
        self.except = rooms.into();
    }

    pub(super) const fn has_nameless_rooms(&self) -> bool {
        self.has_nameless_rooms
    }

    /// The only room that it is for, if there is one.
    pub(in crate::cluster) fn only_room(&self) -> Option<&ByteString> {
        match &*self.rooms {
            [room] if !self.has_nameless_rooms => Some(room),
            _ => None,
        }
    }

    /// Returns whether it is for everyone in the namespace, except the excepted.
    pub fn is_for_all(&self) -> bool {
        self.rooms.is_empty() && !self.has_nameless_rooms
    }

    /// Returns whether it is for no one: the sender has given rooms, but none that a text can name.
    pub fn is_for_nobody(&self) -> bool {
        self.rooms.is_empty() && self.has_nameless_rooms
    }

    /// The rooms. If there are none, it is [for all](Self::is_for_all) or
    /// [for nobody](Self::is_for_nobody).
    pub fn rooms(&self) -> &[ByteString] {
        &self.rooms
    }

    /// The rooms whose sockets are left out.
    pub fn excepted(&self) -> &[ByteString] {
        &self.except
    }
}

/// How a message is sent. `flags` on the wire.
///
/// All of them are optional, and `false` is not the same as absent: an official node treats
/// an event as volatile if it has this flag with any value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastFlags {
    /// Clients that cannot receive the event immediately do not get it, and it is not replayed.
    pub volatile: Option<bool>,
    /// Whether the event may be compressed.
    pub compress: Option<bool>,
    /// Only for the clients of the sender. No node publishes such a message.
    pub local: Option<bool>,
    /// The sender has left a socket out.
    pub broadcast: Option<bool>,
    /// The event has attachments.
    pub binary: Option<bool>,
    /// How long to wait for acknowledgements, in milliseconds.
    pub timeout: Option<u64>,
    /// One answer is enough, because the message is for one socket.
    pub expect_single_response: Option<bool>,
}

impl BroadcastOptions {
    /// Reads whom a message is for.
    pub(super) fn read(opts: Raw<'_>) -> Result<Self, MessageError> {
        let usual = match opts.format() {
            Format::Json => usual_json(opts),
            Format::Msgpack => usual_msgpack(opts),
        };
        usual.map_or_else(|| any(opts), Ok)
    }

    /// Reads the form in which nodes write options without flags as msgpack, in one pass, and advances
    /// behind them. `None` for every other. The rooms share the memory of `whole`.
    pub(super) fn take_usual<'a>(whole: Raw<'a>, input: &mut &'a [u8]) -> Option<Self> {
        let mut options = Self::all();
        *input = input.strip_prefix(b"\x83\xa5rooms")?;
        strings(input, |room| whole.share_text(room).map(|room| options.push_room(room)))?;
        *input = input.strip_prefix(b"\xa6except")?;
        strings(input, |room| whole.share_text(room).map(|room| options.push_excepted(room)))?;
        *input = input.strip_prefix(b"\xa5flags\x80")?;
        Some(options)
    }
}

/// Reads every form. What is missing is empty: emitters of earlier versions leave fields out.
fn any(opts: Raw<'_>) -> Result<BroadcastOptions, MessageError> {
    let mut options = BroadcastOptions::all();
    opts.fields(|name, value| {
        match name {
            "rooms" => options.set_rooms(value.rooms()?),
            // A room that no text can name has no sockets here.
            "except" => options.set_excepted(value.rooms()?.0),
            "flags" if !value.is_null() => options.flags = flags(value)?,
            _ => {}
        }
        Some(())
    })
    .map(|()| options)
    .ok_or(MessageError::Field { field: "opts" })
}

/// Reads the form of [`BroadcastOptions::take_usual`]. `None` for every other.
fn usual_msgpack(opts: Raw<'_>) -> Option<BroadcastOptions> {
    let mut rest = opts.bytes();
    let options = BroadcastOptions::take_usual(opts, &mut rest)?;
    rest.is_empty().then_some(options)
}

/// Reads a list of msgpack, and calls `on_string` with each element. `None` if one is anything but text.
fn strings<'a>(
    input: &mut &'a [u8],
    mut on_string: impl FnMut(&'a [u8]) -> Option<()>,
) -> Option<()> {
    let Token::Array(len) = msgpack::read(input)? else { return None };
    for _ in 0..len {
        let Token::Str(text) = msgpack::read(input)? else { return None };
        on_string(text)?;
    }
    Some(())
}

fn flags(raw: Raw<'_>) -> Option<BroadcastFlags> {
    let mut flags = BroadcastFlags::default();
    raw.fields(|name, value| {
        // Of a flag of another type, only its presence is known.
        let bool = Some(value.bool().unwrap_or_else(|| !value.is_null()));
        match name {
            "volatile" => flags.volatile = bool,
            "compress" => flags.compress = bool,
            "local" => flags.local = bool,
            "broadcast" => flags.broadcast = bool,
            "binary" => flags.binary = bool,
            "timeout" => flags.timeout = value.whole_number(),
            "expectSingleResponse" => flags.expect_single_response = bool,
            _ => {}
        }
        Some(())
    })?;
    Some(flags)
}

/// Reads the form in which nodes write options without flags as JSON, in one pass. `None` for every
/// other.
fn usual_json(opts: Raw<'_>) -> Option<BroadcastOptions> {
    let mut options = BroadcastOptions::all();
    let rest = opts.bytes().strip_prefix(br#"{"rooms":["#)?;
    let rest =
        plain_strings(rest, |room| opts.share_text(room).map(|room| options.push_room(room)))?;
    let rest = rest.strip_prefix(br#","except":["#)?;
    let rest =
        plain_strings(rest, |room| opts.share_text(room).map(|room| options.push_excepted(room)))?;
    (rest == br#","flags":{}}"#).then_some(options)
}

/// Calls `on_string` with the contents of each string up to the end of a list, and returns what
/// follows. `None` if there is anything but strings without escapes.
fn plain_strings<'a>(
    mut rest: &'a [u8],
    mut on_string: impl FnMut(&'a [u8]) -> Option<()>,
) -> Option<&'a [u8]> {
    if let Some(rest) = rest.strip_prefix(b"]") {
        return Some(rest);
    }
    loop {
        rest = rest.strip_prefix(b"\"")?;
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (contents, behind) = rest.split_at_checked(end)?;
        on_string(contents)?;
        match behind {
            [b'"', b',', behind @ ..] => rest = behind,
            [b'"', b']', behind @ ..] => return Some(behind),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::cluster::msgpack::{push_array, push_str};

    fn field(name: &str, texts: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        push_str(&mut out, name.as_bytes());
        push_array(&mut out, texts.len());
        for text in texts {
            push_str(&mut out, text);
        }
        out
    }

    #[test]
    fn options_mean_the_same_in_the_usual_order_and_in_another() {
        let many: Vec<&[u8]> = [&b"r"[..]; 40].to_vec();
        let lists: [&[&[u8]]; 5] = [&[], &[b"r"], &[b"", b"\xc3\xa9"], &[b"\xff"], &many];
        for rooms in lists {
            for except in lists {
                let (rooms, except) = (field("rooms", rooms), field("except", except));
                let flags = b"\xa5flags\x80";
                let usual = [b"\x83", &rooms[..], &except, flags].concat().into();
                let other = [b"\x83", &flags[..], &except, &rooms].concat().into();
                let read =
                    |bytes| BroadcastOptions::read(Raw::new(bytes, Format::Msgpack)).unwrap();
                assert_eq!(read(&usual), read(&other), "{usual:?}");
                // What is cut off or goes on is neither.
                for wrong in [usual.slice(..usual.len() - 1), [&usual[..], b"\xc0"].concat().into()]
                {
                    assert!(
                        BroadcastOptions::read(Raw::new(&wrong, Format::Msgpack)).is_err(),
                        "{wrong:?}"
                    );
                }
            }
        }
        let nameless = b"\x83\xa5rooms\x91\xc0\xa6except\x90\xa5flags\x80"[..].into();
        let read = BroadcastOptions::read(Raw::new(&nameless, Format::Msgpack)).unwrap();
        assert!(read.is_for_nobody());
    }
}
