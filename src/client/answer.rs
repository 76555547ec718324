//! Reads the answer to a CONNECT.

use alloc::string::String;

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    number::{INTEGER_MAX, Number},
    socket::Json,
};

/// The longest public id that is accepted. Servers use 16 to 20 characters.
const ID_LEN_MAX: usize = 255;

/// The answer to a CONNECT.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConnectAnswer {
    /// The public id.
    pub(super) sid: ByteString,
    /// The private id, from a server with recovery.
    pub(super) pid: Option<String>,
    /// How many events of the session have arrived, from a server that counts events.
    pub(super) received: Option<u64>,
}

impl ConnectAnswer {
    /// Only the public id is required, a string of 1 to 255 bytes. Other members of a wrong type are
    /// ignored, as JavaScript clients do.
    pub(super) fn read(answer: &Json) -> Option<Self> {
        #[derive(Deserialize)]
        struct Members<'a> {
            sid: String,
            #[serde(borrow, default)]
            pid: Option<&'a RawValue>,
            #[serde(borrow, default)]
            received: Option<&'a RawValue>,
        }

        let members: Members<'_> = answer.parse().ok()?;
        let is_id = (1..=ID_LEN_MAX).contains(&members.sid.len());
        let received: Option<Number> = members.received.and_then(read);
        is_id.then(|| Self {
            sid: members.sid.into(),
            pid: members.pid.and_then(read),
            // No session has more events, and every later number must be exact in JavaScript.
            received: received.and_then(Number::whole).filter(|count| *count <= INTEGER_MAX / 2),
        })
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_wrong_type_are_ignored() {
        let answer = |json: &str| {
            let answer = ConnectAnswer::read(&Json::from_text(json).unwrap())?;
            assert_eq!(answer.sid, "s");
            Some((answer.pid, answer.received))
        };
        let pid = || Some(String::from("p"));
        let table = [
            (r#"{"sid":"s"}"#, Some((None, None))),
            (r#"{"pid":"p","sid":"s","received":5}"#, Some((pid(), Some(5)))),
            (r#"{"sid":"s","pid":"p","received":5.0,"later":[1e999]}"#, Some((pid(), Some(5)))),
            (r#"{"sid":"s","pid":"p","received":5e0}"#, Some((pid(), Some(5)))),
            (r#"{"sid":"s","pid":"p","received":0.5e1}"#, Some((pid(), Some(5)))),
            (r#"{"sid":"s","pid":"p","received":5.5}"#, Some((pid(), None))),
            (r#"{"sid":"s","pid":"p","received":-5}"#, Some((pid(), None))),
            (r#"{"sid":"s","pid":"p","received":1e300}"#, Some((pid(), None))),
            (r#"{"sid":"s","pid":"p","received":1e999}"#, Some((pid(), None))),
            (r#"{"sid":"s","pid":"p","received":9007199254740991}"#, Some((pid(), None))),
            (r#"{"sid":"s","pid":"p","received":"5"}"#, Some((pid(), None))),
            (r#"{"sid":"s","pid":"p","received":null}"#, Some((pid(), None))),
            (r#"{"sid":"s","pid":null}"#, Some((None, None))),
            (r#"{"sid":"s","pid":7}"#, Some((None, None))),
            (r#"{"sid":""}"#, None),
            (r#"{"sid":7}"#, None),
            (r#"{"sid":null}"#, None),
            ("{}", None),
        ];
        for (json, expected) in table {
            assert_eq!(answer(json), expected, "{json}");
        }
        let long = alloc::format!(r#"{{"sid":"{}"}}"#, "s".repeat(256));
        assert_eq!(ConnectAnswer::read(&Json::from_text(&long).unwrap()), None);
    }
}
