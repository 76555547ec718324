//! The claim of an earlier session in a CONNECT.

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{recovery::RecoveryRefusal, socket::Json};

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
    /// Absent, empty or `null` (some clients in other languages send these): the client has
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
    /// Separates the claim from the application's own authentication data.
    ///
    /// Anyone who has a private id can take over the session. So the application never sees it in
    /// values that it may log or pass on. The other members stay as the client wrote them.
    pub(super) fn split(auth: Json) -> (Json, Option<Self>) {
        let Ok(fields) = auth.parse::<Fields<'_>>() else {
            return (auth, None);
        };
        let Some(pid) = fields.last("pid") else {
            return (auth, None);
        };
        let claim = Self { key: text(pid), offset: offset(fields.last("offset")) };
        let rest = fields.without(&["pid", "offset"]);
        (Json::from_text(&rest).unwrap_or(Json::empty_object()), Some(claim))
    }

    /// The text of the offset; `None` if the client has processed nothing.
    pub(super) fn offset(&self) -> Result<Option<&str>, RecoveryRefusal> {
        match &self.offset {
            ClaimedOffset::Nothing => Ok(None),
            ClaimedOffset::Text(text) => Ok(Some(text)),
            ClaimedOffset::WrongType => Err(RecoveryRefusal::InvalidOffset),
        }
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

/// The members of a JSON object in order, as written. Names are not decoded before they are
/// compared: JSON can contain a name that a Rust string cannot hold (`"\ud800"`), and such a member
/// must not hide the others.
struct Fields<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl Fields<'_> {
    fn last(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().rev().find(|(token, _)| is_named(token, name)).map(|(_, value)| *value)
    }

    fn without(&self, names: &[&str]) -> String {
        let mut text = String::from("{");
        let is_kept = |token: &RawValue| !names.iter().any(|name| is_named(token, name));
        for (name, value) in self.0.iter().filter(|(token, _)| is_kept(token)) {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(name.get());
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
        text
    }
}

/// Whether a JSON string token, which may contain escapes, is equal to `name`.
fn is_named(token: &RawValue, name: &str) -> bool {
    let token = token.get();
    if token.contains('\\') {
        return serde_json::from_str::<String>(token).is_ok_and(|text| text == name);
    }
    token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(name)
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(Self)
    }
}

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
    #[test]
    fn names_that_are_no_text_hide_nothing_and_stay_as_they_are() {
        let auth = r#"{"\ud800":1,"pid":"p","pid\udc00":2,"a\u0062":{"\ud800":["\udfff"]},"offset":"1-2"}"#;
        let (rest, claim) = split(auth);
        assert_eq!(rest, r#"{"\ud800":1,"pid\udc00":2,"a\u0062":{"\ud800":["\udfff"]}}"#);
        assert_eq!(claim.unwrap().key.as_deref(), Some("p"));
    }
}
