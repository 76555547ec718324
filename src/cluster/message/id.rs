//! The names of nodes and requests.

use alloc::string::String;
use core::fmt;

use bytestring::ByteString;

use crate::entropy::Entropy;

/// Bytes of a name. Official ones have 16.
const MAX_LEN: usize = 64;
/// Random bytes in a name, as in official ones.
const ENTROPY: usize = 8;

/// A name is part of the names of channels, in which `#` separates.
fn is_valid(text: &str) -> bool {
    // Looks at every byte without branching: names are checked with every entry that is read.
    let is_special = |byte| byte < b' ' || byte == b'#' || byte == 0x7f;
    let is_special = text.bytes().fold(false, |found, byte| found | is_special(byte));
    (1..=MAX_LEN).contains(&text.len())
        && !is_special
        && (text.is_ascii() || !text.chars().any(char::is_control))
}

fn generate(entropy: &mut dyn Entropy) -> ByteString {
    let mut random = [0; ENTROPY];
    entropy.fill(&mut random);
    hexadecimal(random)
}

fn hexadecimal(bytes: [u8; ENTROPY]) -> ByteString {
    let digits = bytes.into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let text: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    text.into()
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// Draws a name of 64 random bits: 16 hexadecimal digits, like those of official nodes.
            pub fn from_entropy(entropy: &mut dyn Entropy) -> Self {
                Self(generate(entropy))
            }

            /// Makes a name. `None` unless it has 1 to 64 bytes, without `#` and control
            /// characters.
            pub fn new(text: impl Into<ByteString>) -> Option<Self> {
                let text = text.into();
                is_valid(&text).then_some(Self(text))
            }

            /// Returns the text on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }
    };
}

/// Names a node of the cluster, `uid` on the wire. Cheap to clone.
///
/// An official node has another name for each of its namespaces.
///
/// ```
/// use socketio_proto::cluster::message::NodeId;
///
/// let mut entropy = |dest: &mut [u8]| dest.fill(0xa7); // Random bytes, in production.
/// let node = NodeId::from_entropy(&mut entropy);
/// assert_eq!(node.as_str(), "a7a7a7a7a7a7a7a7");
/// assert_eq!(NodeId::new("a7a7a7a7a7a7a7a7"), Some(node));
/// assert_eq!(NodeId::new("a#b"), None);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(ByteString);

name!(NodeId);

impl NodeId {
    pub(super) const fn text(&self) -> &ByteString {
        &self.0
    }

    /// The sender of what an emitter package writes. It is not a node.
    pub const EMITTER: Self = Self(ByteString::from_static("emitter"));
}

/// Names a request in its answers, `requestId` on the wire. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(ByteString);

name!(RequestId);

impl RequestId {
    /// Makes the name of a request from its number.
    pub(crate) fn numbered(number: u64) -> Self {
        Self(hexadecimal(number.to_be_bytes()))
    }

    /// Comes before all names of requests.
    pub(crate) const FIRST: Self = Self(ByteString::new());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let long = "a".repeat(MAX_LEN);
        for text in ["a", "emitter", "ab12", "é", &long] {
            assert_eq!(NodeId::new(text).as_ref().map(NodeId::as_str), Some(text));
            assert_eq!(RequestId::new(text).as_ref().map(RequestId::as_str), Some(text));
        }
        let too_long = "a".repeat(MAX_LEN + 1);
        for text in ["", "#", "a#b", "a\n", "\u{7f}", &too_long] {
            assert_eq!((NodeId::new(text), RequestId::new(text)), (None, None), "{text:?}");
        }
    }

    #[test]
    fn a_drawn_name_is_hexadecimal() {
        let mut entropy =
            |dest: &mut [u8]| dest.copy_from_slice(&[0, 1, 0x20, 0x9a, 255, 16, 7, 8]);
        let request = RequestId::from_entropy(&mut entropy);
        assert_eq!(request.as_str(), "0001209aff100708");
        assert_eq!(alloc::format!("{request:?}"), "RequestId(\"0001209aff100708\")");
    }
}
