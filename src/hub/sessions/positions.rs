//! The positions of evicted packets that sessions remember.

use super::Sessions;

impl<D> Sessions<D> {
    /// Lets the log forget the positions of evicted packets that nothing remembers.
    pub(super) fn forget_positions(&mut self) {
        if self.log.has_excess_positions() {
            let members = self.members.iter();
            self.log.forget_positions(members.flat_map(|(_, member)| member.memberships.marks()));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{borrow::Cow, sync::Arc};

    use super::*;
    use crate::{
        config::{RecoveryConfig, ServerConfig},
        hub::{
            message::Reliability,
            sessions::{Birth, Change, Recipients},
        },
        id::{ConnectionId, Generation, SocketId},
        recovery::{Offset, RecoveryBuffer, RecoveryRefusal},
        socket::{Event, NamespaceName},
        time::Timestamp,
    };

    fn sessions() -> Sessions<()> {
        let recovery = RecoveryConfig { buffer_packets: 4, ..RecoveryConfig::default() };
        let config = Arc::new(ServerConfig::new().recovery(recovery));
        let log = RecoveryBuffer::following(&config, Offset::pair(1_000, 0));
        Sessions { log, ..Sessions::new(NamespaceName::ROOT, config, 0) }
    }

    fn open(sessions: &mut Sessions<()>, name: u8) -> u32 {
        let birth = Birth {
            id: SocketId::from_entropy(&mut |dest: &mut [u8]| dest.fill(name)),
            key: None,
            generation: Generation::from_raw(1).unwrap(),
            connection: ConnectionId::from_raw(0),
            claimed: 0,
            data: (),
            presented: None,
        };
        sessions.apply(Timestamp::ZERO, Change::Open(birth)).opened().unwrap()
    }

    fn emit(sessions: &mut Sessions<()>, to: u32) {
        let event = Cow::Owned(Event::new("m", &()).unwrap());
        let to = Recipients::Session { id: sessions.members[to as usize].id, index: Some(to) };
        let change =
            Change::Publish { to, event, ack: None, reliability: Reliability::Owed, at: None };
        sessions.apply(Timestamp::ZERO, change).published().unwrap();
    }

    /// What was sent to one session pushes the packets of another one out of the log. Their
    /// positions are remembered as long as the other one can ask for what comes after them.
    #[test]
    fn silence_loses_nothing_in_a_log_whose_positions_are_given() {
        let mut sessions = sessions();
        let (silent, busy) = (open(&mut sessions, 1), open(&mut sessions, 2));
        emit(&mut sessions, silent);
        sessions.apply(Timestamp::ZERO, Change::Join { index: silent, room: "a".into() });
        emit(&mut sessions, silent);
        sessions.apply(Timestamp::ZERO, Change::Leave { index: silent, room: "a".into() });
        for _ in 0..1_000 {
            emit(&mut sessions, busy);
            assert!(sessions.log.remembered_positions() <= 64);
        }
        let check = |sessions: &Sessions<()>, offset: &str| {
            let position = sessions.resume_from(silent, Some(offset))?;
            sessions.check(silent, position)?;
            sessions.missed_len(silent, position)
        };
        assert_eq!(
            check(&sessions, "1000-1"),
            Err(RecoveryRefusal::Gap),
            "it has missed the second one"
        );
        assert_eq!(check(&sessions, "1000-2"), Ok(0));
        assert_eq!(check(&sessions, "1000-900"), Ok(0));
        emit(&mut sessions, silent);
        assert_eq!(check(&sessions, "1000-2"), Ok(1));
        for _ in 0..1_000 {
            emit(&mut sessions, busy);
        }
        assert_eq!(check(&sessions, "1000-900"), Err(RecoveryRefusal::Gap));
        assert_eq!(check(&sessions, "1000-1003"), Ok(0));
    }
}
