//! What a CONNECT says about an earlier session.

use alloc::{borrow::Cow, string::String, vec::Vec};
use core::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::socket::Json;

/// The private id and the offset that a client presents. Neither is trusted.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Claim {
    /// `None` if it was not a string.
    pub(super) key: Option<String>,
    pub(super) offset: ClaimedOffset,
}

/// The offset that a client presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClaimedOffset {
    /// None, an empty text or `null`, as the clients of other languages write none: the client has
    /// processed nothing.
    Nothing,
    Text(String),
    /// Not a string.
    WrongType,
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Claim {
    /// What it holds: both come from the client, at whatever length.
    pub(super) fn bytes(&self) -> usize {
        let key = self.key.as_ref().map_or(0, String::len);
        let offset = match &self.offset {
            ClaimedOffset::Text(text) => text.len(),
            ClaimedOffset::Nothing | ClaimedOffset::WrongType => 0,
        };
        key.saturating_add(offset)
    }

    /// Separates the claim from the application's own authentication data.
    ///
    /// A private id is worth a session, so the application never sees it among the values that it
    /// may well log or pass on.
    pub(super) fn split(auth: Json) -> (Json, Option<Self>) {
        let Ok(fields) = auth.parse::<Fields<'_>>() else {
            return (auth, None);
        };
        let Some(pid) = fields.last("pid") else {
            return (auth, None);
        };
        let claim = Self { key: text(pid), offset: offset(fields.last("offset")) };
        let rest = fields.without(&["pid", "offset"]);
        (Json::from_text(&rest).unwrap_or(auth), Some(claim))
    }
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn offset(value: Option<&RawValue>) -> ClaimedOffset {
    match value.filter(|value| value.get() != "null").map(text) {
        None => ClaimedOffset::Nothing,
        Some(Some(text)) if text.is_empty() => ClaimedOffset::Nothing,
        Some(Some(text)) => ClaimedOffset::Text(text),
        Some(None) => ClaimedOffset::WrongType,
    }
}

/// The members of a JSON object in order, values unparsed.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl Fields<'_> {
    fn last(&self, key: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    fn without(&self, keys: &[&str]) -> String {
        let mut text = String::from("{");
        for (name, value) in self.0.iter().filter(|(name, _)| !keys.contains(&&**name)) {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&serde_json::to_string(name).unwrap_or_default());
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        text
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Key<'de>>()? {
                    members.push((key.0, map.next_value()?));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Self)
    }
}

/// A key that is borrowed when it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn split(auth: &str) -> (String, Option<Claim>) {
        let (rest, claim) = Claim::split(Json::from_text(auth).unwrap());
        (rest.as_str().into(), claim)
    }

    #[test]
    fn the_claim_is_taken_out_of_the_auth() {
        let (rest, claim) = split(r#"{"pid":"p","token":{"a":[1]},"offset":"1-2","z":null}"#);
        assert_eq!(rest, r#"{"token":{"a":[1]},"z":null}"#);
        let offset = ClaimedOffset::Text("1-2".into());
        assert_eq!(claim, Some(Claim { key: Some("p".into()), offset }));
    }

    #[test]
    fn without_a_private_id_the_auth_is_the_applications() {
        let auth = r#"{"offset":"mine", "token":1}"#;
        assert_eq!(split(auth), (auth.into(), None));
    }

    #[test]
    fn wrong_types_are_recognised() {
        let (_, claim) = split(r#"{"pid":7,"offset":7}"#);
        assert_eq!(claim, Some(Claim { key: None, offset: ClaimedOffset::WrongType }));
        let (_, claim) = split(r#"{"pid":"p","offset":""}"#);
        assert_eq!(claim.unwrap().offset, ClaimedOffset::Nothing);
        let (_, claim) = split(r#"{"pid":"p","offset":["1-2"]}"#);
        assert_eq!(claim.unwrap().offset, ClaimedOffset::WrongType);
    }

    #[test]
    fn the_last_of_repeated_keys_counts_and_none_is_passed_on() {
        let (rest, claim) = split(r#"{"pid":"a","\u0070id":"b","x":"\u0041"}"#);
        assert_eq!(rest, r#"{"x":"\u0041"}"#);
        assert_eq!(claim.unwrap().key.as_deref(), Some("b"));
    }
}
