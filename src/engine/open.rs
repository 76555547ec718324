//! Reads the open packet in the same way as JavaScript peers.

use alloc::string::String;
use core::fmt;

use bytestring::ByteString;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use smallvec::SmallVec;

use super::{Open, Transport};
use crate::number::Number;

impl<'de> Deserialize<'de> for Open {
    /// Unknown members are ignored, and the last member of a name counts. Numbers may be written in
    /// any way. A fraction is cut off. A number that is out of range becomes the nearest one in
    /// range, so that a server with very long intervals is never considered lost too early. A
    /// `null` for a time is zero. A `maxPayload` that is zero or not a number counts as absent.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Open;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Open, A::Error> {
        let (mut sid, mut upgrades) = (None, Upgrades::default());
        let (mut ping_interval, mut ping_timeout) = (None, None);
        let mut max_payload = Number::Null;
        while let Some(name) = members.next_key::<String>()? {
            match &*name {
                "sid" => sid = Some(members.next_value::<ByteString>()?),
                "upgrades" => upgrades = members.next_value()?,
                "pingInterval" => ping_interval = Some(members.next_value()?),
                "pingTimeout" => ping_timeout = Some(members.next_value()?),
                "maxPayload" => max_payload = members.next_value()?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Open {
            sid: sid.ok_or_else(|| A::Error::missing_field("sid"))?,
            upgrades: upgrades.0,
            ping_interval: millis(ping_interval, "pingInterval")?,
            ping_timeout: millis(ping_timeout, "pingTimeout")?,
            max_payload: match max_payload {
                Number::Whole(0) | Number::Cut(0) | Number::Null | Number::Other => u64::MAX,
                Number::Whole(bytes) | Number::Cut(bytes) => bytes,
            },
        })
    }
}

fn millis<E: Error>(number: Option<Number>, name: &'static str) -> Result<u64, E> {
    match number.ok_or_else(|| E::missing_field(name))? {
        Number::Whole(millis) | Number::Cut(millis) => Ok(millis),
        Number::Null => Ok(0),
        Number::Other => Err(E::custom(format_args!("{name} is not a number"))),
    }
}

/// The transports that this crate supports. Others, such as `webtransport`, are left out.
#[derive(Default)]
struct Upgrades(SmallVec<[Transport; 1]>);

impl<'de> Deserialize<'de> for Upgrades {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Upgrades;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of transport names")
            }

            fn visit_unit<E>(self) -> Result<Upgrades, E> {
                Ok(Upgrades::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Upgrades, A::Error> {
                let mut known = SmallVec::new();
                while let Some(name) = names.next_element::<ByteString>()? {
                    match Transport::parse(&name) {
                        Some(transport) if !known.contains(&transport) => known.push(transport),
                        Some(_) | None => {}
                    }
                }
                Ok(Upgrades(known))
            }
        }

        deserializer.deserialize_any(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<(u64, u64, u64)> {
        let open = Open::decode(json).ok()?;
        assert_eq!(open.sid, "x");
        Some((open.ping_interval, open.ping_timeout, open.max_payload))
    }

    #[test]
    fn the_numbers_of_a_handshake_may_be_written_in_any_way() {
        const NONE: u64 = u64::MAX;
        let table = [
            (r#""pingInterval":25000,"pingTimeout":20000"#, Some((25_000, 20_000, NONE))),
            (r#""pingInterval":25000.0,"pingTimeout":2e4"#, Some((25_000, 20_000, NONE))),
            (r#""pingInterval":2.5E4,"pingTimeout":20000.9"#, Some((25_000, 20_000, NONE))),
            (r#""pingInterval":null,"pingTimeout":20000"#, Some((0, 20_000, NONE))),
            (r#""pingInterval":-1,"pingTimeout":20000"#, Some((0, 20_000, NONE))),
            (r#""pingInterval":1e300,"pingTimeout":1"#, Some((u64::MAX, 1, NONE))),
            (r#""pingInterval":18446744073709551616,"pingTimeout":1"#, Some((u64::MAX, 1, NONE))),
            (r#""pingInterval":1,"pingInterval":2,"pingTimeout":3"#, Some((2, 3, NONE))),
            (r#""pingTimeout":3,"later":{"a":[1e400]},"pingInterval":2"#, Some((2, 3, NONE))),
            (r#""pingInterval":1e999,"pingTimeout":1"#, None),
            (r#""pingInterval":"25000","pingTimeout":1"#, None),
            (r#""pingInterval":25000"#, None),
        ];
        for (members, numbers) in table {
            let json = alloc::format!(r#"{{"sid":"x","upgrades":[],{members}}}"#);
            assert_eq!(read(&json), numbers, "{json}");
        }
    }

    #[test]
    fn a_limit_may_be_missing_or_written_in_any_way() {
        let table = [
            ("1000000", 1_000_000),
            ("1000000.0", 1_000_000),
            ("1E6", 1_000_000),
            ("1e300", u64::MAX),
            ("null", u64::MAX),
            ("0", u64::MAX),
            ("-5", u64::MAX),
            ("false", u64::MAX),
            ("\"1e6\"", u64::MAX),
        ];
        for (limit, bytes) in table {
            let json = alloc::format!(
                r#"{{"maxPayload":{limit},"pingTimeout":2,"pingInterval":1,"sid":"x"}}"#
            );
            assert_eq!(read(&json), Some((1, 2, bytes)), "{json}");
        }
    }

    #[test]
    fn upgrades_may_be_missing_unknown_or_null() {
        for upgrades in ["null", "[]", r#"["webtransport"]"#] {
            let json = alloc::format!(
                r#"{{"sid":"x","upgrades":{upgrades},"pingInterval":1,"pingTimeout":2}}"#
            );
            assert!(Open::decode(&json).unwrap().upgrades.is_empty(), "{json}");
        }
        let json =
            r#"{"sid":"x","upgrades":["websocket","websocket"],"pingInterval":1,"pingTimeout":2}"#;
        assert_eq!(Open::decode(json).unwrap().upgrades.as_slice(), [Transport::WebSocket]);
    }
}
