//! `Debug` output of bytes that may contain a secret id.
//!
//! Only two packets carry one, and their first characters show it: the open packet of Engine.IO,
//! and CONNECT of Socket.IO, which carries a private id in both directions.

use core::{fmt, str};

/// A packet as text. It may also be a message without its type.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = self.0.strip_prefix('4').unwrap_or(self.0);
        if payload.starts_with('0') {
            let kind = self.0.get(..self.0.len() - payload.len() + 1).unwrap_or_default();
            write!(f, "\"{kind}..\" ({} bytes)", self.0.len())
        } else {
            self.0.fmt(f)
        }
    }
}

/// A polling body.
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match str::from_utf8(self.0) {
            Ok(text) => f.debug_list().entries(text.split('\u{1e}').map(Text)).finish(),
            Err(_) => write!(f, "({} bytes)", self.0.len()),
        }
    }
}

/// A query string.
pub(crate) struct Query<'a>(pub(crate) &'a str);

impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in form_urlencoded::parse(self.0.as_bytes()) {
            let shown = if name == "sid" { ".." } else { &*value };
            map.entry(&name, &shown);
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn only_packets_with_ids_are_hidden() {
        for text in ["0{\"sid\":\"x\"}", "40{\"pid\":\"x\"}", "40/a,{\"pid\":\"x\"}"] {
            let shown = format!("{:?}", Text(text));
            assert!(!shown.contains('x') && shown.contains("0.."), "{shown}");
        }
        for text in ["42[\"x\"]", "2[\"x\"]", "4", "", "3", "43/a,1[]"] {
            assert_eq!(format!("{:?}", Text(text)), format!("{text:?}"));
        }
    }

    #[test]
    fn bodies_are_shown_packet_by_packet() {
        let shown = format!("{:?}", Body(b"40{\"pid\":\"x\"}\x1e42[\"a\"]"));
        assert_eq!(shown, r#"["40.." (13 bytes), "42[\"a\"]"]"#);
        assert_eq!(format!("{:?}", Body(&[0xff, 0x40])), "(2 bytes)");
    }

    #[test]
    fn queries_are_shown_without_the_session() {
        let shown = format!("{:?}", Query("EIO=4&s%69d=secret&transport=polling"));
        assert_eq!(shown, r#"{"EIO": "4", "sid": "..", "transport": "polling"}"#);
    }
}
