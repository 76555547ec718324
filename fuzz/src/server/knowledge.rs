//! What clients know.

/// What clients have been told, by whatever way.
#[derive(Debug, Default)]
pub(crate) struct Knowledge {
    pub(crate) sids: Vec<String>,
    pub(crate) pids: Vec<String>,
    pub(crate) offsets: Vec<String>,
    pub(crate) acks: Vec<String>,
}

impl Knowledge {
    /// Learns from a packet that a client has received.
    pub(crate) fn learn(&mut self, packet: &str) {
        let value = |before| Some(packet.split_once(before)?.1.split_once('"')?.0.to_owned());
        if packet.starts_with("0{") {
            self.sids.extend(value(r#""sid":""#));
        } else if packet.starts_with("40") {
            self.pids.extend(value(r#""pid":""#));
        } else if packet.starts_with("42") {
            let offset = packet.rsplit(",\"").next().and_then(|tail| tail.strip_suffix("\"]"));
            self.offsets.extend(offset.map(String::from));
            let id = packet.split_once('[').map_or("", |(header, _)| header);
            let id = id.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
            // A header without a namespace begins with the types.
            self.acks.push(id.strip_prefix("42").unwrap_or(id).to_owned());
        }
        for known in [&mut self.sids, &mut self.pids, &mut self.offsets, &mut self.acks] {
            let excess = known.len().saturating_sub(8);
            known.drain(..excess);
        }
    }
}
