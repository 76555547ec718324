//! For tests: what can be observed of sessions, without the numbers that mean something only here.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt;

use super::{Birth, Change, Disconnected, Effect, Ended, Member, Published, Sessions};
use crate::{
    hub::reason::{EndCause, ExpiryCause},
    id::{ConnectionId, Generation, SocketId},
    socket::Encoded,
    time::Timestamp,
};

impl<D: fmt::Debug + Default> Sessions<D> {
    /// Uses up the numbers that the next sessions and rooms would get.
    pub(in crate::hub) fn renumbered(mut self) -> Self {
        for number in 0..Self::TAKEN_ROOMS {
            self.log.rooms_mut().find_or_create(&Self::taken_room(number));
        }
        let cause = EndCause::Expired(ExpiryCause::Evicted);
        let opened: Vec<u32> = (0..3)
            .map(|number| {
                let id = SocketId::from_entropy(&mut |dest: &mut [u8]| dest.fill(200 + number));
                let birth = Birth {
                    id,
                    key: None,
                    generation: Generation::FIRST,
                    connection: ConnectionId::from_raw(0),
                    claimed: 0,
                    data: D::default(),
                    presented: None,
                };
                self.apply(Timestamp::ZERO, Change::Open(birth)).opened().unwrap()
            })
            .collect();
        for index in opened {
            self.apply(Timestamp::ZERO, Change::End { index, cause }).ended().unwrap();
        }
        self
    }

    /// Everything that can be observed: of each session by its id, of the log, and of the rooms.
    pub(in crate::hub) fn observe(&self) -> BTreeMap<String, String> {
        let mut all: BTreeMap<String, String> = self
            .members
            .iter()
            .map(|(index, member)| {
                let observed = self.observe_one(u32::try_from(index).unwrap(), member);
                (member.id.to_string(), observed)
            })
            .collect();
        let log = (self.log.head_offset(), self.log.evicted(), self.log.len(), self.log.bytes());
        all.insert("log".into(), format!("{log:?} {:?}", self.log.made_room()));
        let taken = (0..Self::TAKEN_ROOMS).map(Self::taken_room);
        let taken = taken.filter(|name| self.has_room(name)).count();
        let counts = (self.room_count() - taken, self.parked_count(), self.live_count());
        all.insert("rest".into(), format!("{counts:?} {} {:?}", self.next_ack, self.deadline()));
        all
    }

    /// What can be observed of the result of a change.
    pub(in crate::hub) fn observe_effect(&self, effect: &Effect<D>) -> String {
        match effect {
            Effect::Opened(index) => format!("opened {}", self.id_of(*index)),
            Effect::Ended(ended) => observe_end(ended),
            Effect::Published(Published { packet, reliability, links, asked }) => {
                let mut links = links.to_vec();
                links.sort_unstable();
                let mut asked: Vec<SocketId> =
                    asked.iter().map(|index| self.id_of(*index)).collect();
                asked.sort_unstable();
                let packet = observe_packet(packet);
                format!("{packet} to {links:?}, {reliability:?}, answers of {asked:?}")
            }
            Effect::AllEnded(all) => {
                let one = |it: &Disconnected<D>| {
                    let Disconnected { generation, link, ended, .. } = it;
                    format!("{generation:?} {link:?} {}", observe_end(ended))
                };
                let mut all: Vec<String> = all.iter().map(one).collect();
                all.sort();
                format!("{all:#?}")
            }
            Effect::Told(packets) => packets.iter().map(observe_packet).collect(),
            others => format!("{others:?}"),
        }
    }

    fn observe_one(&self, index: u32, member: &Member<D>) -> String {
        let Member { key, generation, attachment, claimed, data, place, .. } = member;
        let Member { floor, is_restored, is_unproven, receipts, .. } = member;
        let mut rooms: Vec<&str> = self.room_names(index).collect();
        rooms.sort_unstable();
        // What its client gets if it comes back from any position.
        let first = self.log.evicted().saturating_sub(3).max(*floor);
        let recoveries: Vec<_> = (first..=self.log.head())
            .map(|position| {
                let missed = self.missed(index, position);
                let missed = missed.map(|it| it.iter().map(observe_packet).collect::<Vec<_>>());
                (position, self.check(index, position), missed)
            })
            .collect();
        let key = key.map(|key| key.expose().to_string());
        let paced = (self.claims.get(&index), self.attempts.get(&index), self.is_held(index));
        format!(
            "{:#?}",
            (
                (key, generation, attachment, claimed, data, place, floor, is_restored),
                (is_unproven, rooms, receipts, recoveries),
                (paced, self.left_open.get(&index), self.kept.get(&index)),
            )
        )
    }

    fn id_of(&self, index: u32) -> SocketId {
        self.members[index as usize].id
    }

    const TAKEN_ROOMS: u8 = 7;

    fn taken_room(number: u8) -> String {
        format!("taken {number}")
    }
}

fn observe_packet(packet: &Encoded) -> String {
    format!("{} {:?}", packet.head(), packet.attachments())
}

fn observe_end<D: fmt::Debug>(ended: &Ended<D>) -> String {
    let Ended { id, key, data, rooms, cause } = ended;
    let mut rooms: Vec<&str> = rooms.iter().collect();
    rooms.sort_unstable();
    format!("{id} {:?} {data:?} {rooms:?} {cause:?}", key.map(|key| key.expose().to_string()))
}

impl<D> Change<'_, D> {
    /// The session that the change refers to by its index. `None` if the change contains nothing
    /// that means something only here.
    pub(in crate::hub) fn index_mut(&mut self) -> Option<&mut u32> {
        match self {
            Self::Open(_)
            | Self::TakeAckId { .. }
            | Self::Publish { .. }
            | Self::JoinAll { .. }
            | Self::LeaveAll { .. }
            | Self::EndAll { .. }
            | Self::SettleAck { .. }
            | Self::ExpireLog
            | Self::Import { .. }
            | Self::Arrive { .. }
            | Self::Advance { .. }
            | Self::Follow { .. } => None,
            Self::Attach { index, .. }
            | Self::Park { index, .. }
            | Self::End { index, .. }
            | Self::Join { index, .. }
            | Self::Leave { index, .. }
            | Self::SetData { index, .. }
            | Self::Count { index }
            | Self::Accept { index, .. }
            | Self::Answer { index, .. }
            | Self::Withdraw { index, .. }
            | Self::Question { index, .. }
            | Self::Hold { index, .. }
            | Self::Release { index, .. }
            | Self::Reach { index, .. }
            | Self::UnusedTurn { index, .. }
            | Self::Replay { index, .. }
            | Self::Refuse { index } => Some(index),
        }
    }
}
