//! What a client knows about its session in one namespace, so that the server can recover it.

use alloc::string::String;
use core::fmt;

use bytestring::ByteString;

use super::offset::Position;
use crate::socket::{self, Json};

/// The longest private id that is kept. Servers use 20 characters.
pub(super) const PID_LEN_MAX: usize = 255;

/// The session of one namespace.
#[derive(Default)]
pub(super) struct Session {
    /// What the server needs to recover the session, if it can.
    recoverable: Option<Recoverable>,
    /// The number of the session, so that tokens and offsets of an earlier session are ignored.
    generation: u64,
}

struct Recoverable {
    /// The private id.
    pid: ByteString,
    /// The offset of the last event that was received. The next CONNECT presents it.
    received: Option<(ByteString, Position)>,
    /// The offset of the last event that the application has polled. A snapshot contains it.
    polled: Option<ByteString>,
}

impl Session {
    /// Reads the private id of a CONNECT answer. Returns whether it continues the session. If not,
    /// everything known about the earlier session is dropped (H25).
    pub(super) fn begin(&mut self, pid: Option<&str>) -> bool {
        let pid = pid.filter(|pid| !pid.is_empty() && pid.len() <= PID_LEN_MAX);
        if pid.is_some() && self.recoverable.as_ref().map(|known| &*known.pid) == pid {
            return true;
        }
        self.reset();
        let begun = |pid| Recoverable { pid, received: None, polled: None };
        self.recoverable = pid.map(ByteString::from).map(begun);
        false
    }

    /// Drops the session.
    pub(super) fn reset(&mut self) {
        *self = Self { recoverable: None, generation: self.generation.wrapping_add(1) };
    }

    /// Notes and returns the offset of an event, if it has one.
    ///
    /// Servers append it as the last argument. A string that cannot be an offset belongs to the
    /// application.
    pub(super) fn advance(&mut self, event: &socket::Event) -> Option<ByteString> {
        let known = self.recoverable.as_mut()?;
        let (text, position) = Position::of(event)?;
        if known.received.as_ref().is_some_and(|(_, earlier)| !position.follows(*earlier)) {
            return None;
        }
        let text = ByteString::from(text);
        known.received = Some((text.clone(), position));
        Some(text)
    }

    /// The application has polled an event with this offset.
    pub(super) fn note_polled(&mut self, generation: u64, offset: ByteString) {
        if self.generation == generation
            && let Some(known) = &mut self.recoverable
        {
            known.polled = Some(offset);
        }
    }

    /// A session from a snapshot.
    pub(super) fn restored(pid: Option<ByteString>, offset: Option<ByteString>) -> Self {
        let received = offset.and_then(|text| {
            let position = Position::parse(&text)?;
            Some((text, position))
        });
        let polled = received.as_ref().map(|(text, _)| text.clone());
        let known = |pid| Recoverable { pid, received, polled };
        Self { recoverable: pid.map(known), generation: 0 }
    }

    /// What a snapshot contains: the private id, and the offset of the last polled event.
    pub(super) fn exported(&self) -> (Option<ByteString>, Option<ByteString>) {
        let known = self.recoverable.as_ref();
        (known.map(|known| known.pid.clone()), known.and_then(|known| known.polled.clone()))
    }

    /// The offset of the last event that was received.
    pub(super) fn received(&self) -> Option<ByteString> {
        let (text, _) = self.recoverable.as_ref()?.received.as_ref()?;
        Some(text.clone())
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn is_recoverable(&self) -> bool {
        self.recoverable.is_some()
    }

    /// Adds the private id and the offset in front of the credentials of the application. If keys
    /// repeat, those of the application count, as in the reference.
    pub(super) fn claim(&self, auth: Option<&Json>) -> Option<Json> {
        let Some(Recoverable { pid, received, .. }) = &self.recoverable else {
            return auth.cloned();
        };
        let mut text = String::from("{\"pid\":");
        push_json(&mut text, pid);
        if let Some((offset, _)) = received {
            text.push_str(",\"offset\":");
            push_json(&mut text, offset);
        }
        let members = auth.and_then(|auth| auth.as_str().strip_prefix('{')).unwrap_or("}");
        if members.trim_start() != "}" {
            text.push(',');
        }
        text.push_str(members);
        Json::from_text(&text).ok().or_else(|| auth.cloned())
    }
}

fn push_json(text: &mut String, value: &str) {
    text.push_str(&serde_json::to_string(value).unwrap_or_default());
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("received", &self.received())
            .field("polled", &self.exported().1)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn event(json: &str) -> socket::Event {
        let args: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
        socket::Event::new("e", &args).unwrap()
    }

    #[test]
    fn the_claim_comes_before_the_credentials() {
        let mut session = Session::default();
        let auth = Json::from_text(r#"{"token":"t"}"#).unwrap();
        assert_eq!(session.claim(Some(&auth)).unwrap(), auth);
        assert_eq!(session.claim(None), None);

        assert!(!session.begin(Some("p")));
        assert_eq!(session.claim(None).unwrap().as_str(), r#"{"pid":"p"}"#);
        session.advance(&event(r#"[1,"7-1"]"#));
        let claim = session.claim(Some(&auth)).unwrap();
        assert_eq!(claim.as_str(), r#"{"pid":"p","offset":"7-1","token":"t"}"#);
        let empty = session.claim(Some(&Json::from_text("{ }").unwrap())).unwrap();
        assert_eq!(empty.as_str(), r#"{"pid":"p","offset":"7-1" }"#);
    }

    #[test]
    fn h25_an_offset_does_not_outlive_its_session() {
        let mut session = Session::default();
        session.begin(Some("p"));
        session.advance(&event(r#"["7-1"]"#));
        assert!(session.begin(Some("p")), "the same session");
        assert!(session.claim(None).unwrap().as_str().contains("7-1"));
        assert!(!session.begin(Some("q")), "another one");
        assert_eq!(session.claim(None).unwrap().as_str(), r#"{"pid":"q"}"#);
        assert!(!session.begin(None) && session.claim(None).is_none());
    }

    #[test]
    fn strings_of_the_application_are_not_offsets() {
        let mut session = Session::default();
        assert_eq!(session.advance(&event(r#"["7-1"]"#)), None, "no recovery, no offset");
        session.begin(Some("p"));
        for text in [r#"["hello"]"#, "[1]", "[]", r#"[{"a":"7-1"}]"#, r#"["7-1",2]"#] {
            assert_eq!(session.advance(&event(text)), None, "{text}");
        }
        assert_eq!(session.advance(&event(r#"["7-5"]"#)).unwrap(), "7-5");
        assert_eq!(session.advance(&event(r#"["7-4"]"#)), None, "going back");
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut session = Session::default();
        session.begin(Some("secret"));
        let shown = std::format!("{session:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}
