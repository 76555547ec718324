//! Changes of the sessions and the log of a namespace, as values.

use alloc::{borrow::Cow, boxed::Box, vec::Vec};

use super::{
    AckRequest, AnswerKey, Arrival, Birth, Ended, Known, Links, Recipients, SessionRecord,
};
use crate::{
    hub::{message::Reliability, reason::EndCause},
    id::{ConnectionId, Generation},
    recovery::{Inconsistent, Offset},
    socket::{Args, Encoded, Event},
};

/// One change. It takes effect between two packets of the log, and contains everything that it
/// depends on, also random values and counters from elsewhere. So the same changes at the same
/// times produce the same sessions.
///
/// The changes with [`Recipients`] are *proposals*: they contain names only, and who is concerned is
/// decided when they are made. So they can be made later, or in another process. The other changes
/// concern one session of this process, and refer to it by its index. The caller has just looked it
/// up, and makes the change at once: after the session has ended, another one can get the index.
/// An index means nothing in another process, which knows a session by its ids.
///
/// It borrows large values. [`Change::into_owned`] converts it to a value that borrows nothing.
#[derive(Clone, Debug)]
pub(in crate::hub) enum Change<'a, D> {
    /// A session begins. It is connected, and in the room named after its id.
    Open(Birth<D>),
    /// A session gets a link, which replaces the link that it has.
    Attach {
        index: u32,
        connection: ConnectionId,
        /// The request that gets the session.
        claimed: u64,
    },
    /// A session has lost its link and is parked.
    Park {
        index: u32,
        /// The connection continues, so its client may still receive what was sent there.
        is_open: bool,
    },
    /// A session ends.
    End { index: u32, cause: EndCause },
    /// A session joins a room from the next packet on.
    Join { index: u32, room: Cow<'a, str> },
    /// A session leaves a room from the next packet on. It stays in the one named after its id.
    Leave { index: u32, room: Cow<'a, str> },
    /// The application replaces its data of a session.
    SetData { index: u32, data: D },
    /// The server reserves the id of an acknowledgement that it will ask for.
    TakeAckId { id: u64 },
    /// The server emits an event.
    Publish {
        to: Recipients<'a>,
        event: Cow<'a, Event>,
        /// The id of the acknowledgement that the event asks for.
        ack: Option<u64>,
        /// How it is delivered, and whether it is logged.
        reliability: Reliability,
        /// The position of a logged event, if it comes from the channel of a cluster.
        at: Option<Offset>,
    },
    /// All recipients join a room from the next packet on, unless a limit forbids it.
    JoinAll { to: Recipients<'a>, room: Cow<'a, str> },
    /// All recipients leave a room from the next packet on.
    LeaveAll { to: Recipients<'a>, room: Cow<'a, str> },
    /// The server disconnects all recipients.
    EndAll { to: Recipients<'a> },
    /// The acknowledgement with this id is not awaited any more.
    SettleAck { id: u64 },
    /// Packets that are too old leave the log.
    ExpireLog,
    /// A client that counts its events has sent one.
    Count { index: u32 },
    /// The application accepts an event with a client offset, if it is new.
    Accept {
        index: u32,
        offset: Cow<'a, str>,
        /// The attempt that asks for an acknowledgement.
        waiting: Option<AckRequest>,
    },
    /// The application answers an event. The answer may be sent later, if the session still is here.
    Answer { index: u32, key: AnswerKey, args: Cow<'a, Args>, is_sent: bool },
    /// The application could not handle an event, which has an id, an offset, or both.
    Withdraw { index: u32, id: Option<u64>, offset: Option<Cow<'a, str>> },
    /// A client that counts its events asks how many have arrived, and asks for the answers to
    /// these.
    Question { index: u32, ids: Vec<u64> },
    /// A claim of a session waits. The session and the packets in the log after `position` are
    /// kept.
    Hold { index: u32, position: Option<u64> },
    /// The claim is decided. The session may have ended.
    Release { index: u32, generation: Generation, position: Option<u64> },
    /// The virtual time of a session in the queue of claims is now `reached`.
    Reach { index: u32, generation: Generation, reached: u64 },
    /// A claim has had its turn, for which it has paid `paid` tokens, and the turn is not known to
    /// have had a result. `paid` is 0 if another claim uses the turn.
    UnusedTurn { index: u32, generation: Generation, paid: u64 },
    /// The client is sent the packets that it has missed since `position`.
    Replay { index: u32, position: u64, is_empty: bool },
    /// The client has closed its link after the replay had begun to leave.
    Refuse { index: u32 },
    /// A session of another process is brought in. It is parked.
    Import { record: Box<SessionRecord<D>>, generation: Generation },
    /// A session of another node of the cluster is brought in. It is parked.
    Arrive { arrival: Box<Arrival<D>>, generation: Generation },
    /// The channel of a cluster was read up to this position, and contained no further packet.
    Advance { position: Offset },
    /// The log begins anew after this position of the channel of a cluster. There are no sessions.
    Follow { origin: Offset },
}

/// The result of a change.
#[derive(Debug)]
pub(in crate::hub) enum Effect<D> {
    /// Nothing has changed: the session does not exist, or was already in that state.
    None,
    /// The change was made.
    Done,
    /// A session has begun, at this index.
    Opened(u32),
    /// A session was not brought in, because this value of its record is wrong here.
    Invalid(Inconsistent),
    /// The remains of a session that has ended.
    Ended(Ended<D>),
    /// The old data.
    Replaced(D),
    /// An event was encoded.
    Published(Published),
    /// How many sessions were changed, and how many were not because of a limit.
    Counted { changed: usize, refused: usize },
    /// The remains of the sessions that have ended.
    AllEnded(Vec<Disconnected<D>>),
    /// What the session knows of the event.
    Accepted(Known),
    /// A later attempt waits for the same answer.
    Answered(AckRequest),
    /// The packets that answer a question.
    Told(Vec<Encoded>),
}

/// An event for its recipients.
#[derive(Debug)]
pub(in crate::hub) struct Published {
    pub(in crate::hub) packet: Encoded,
    pub(in crate::hub) reliability: Reliability,
    /// Where to send it.
    pub(in crate::hub) links: Links,
    /// Indices of the connected sessions of an audience, if the event asks for an acknowledgement.
    pub(in crate::hub) asked: Vec<u32>,
}

/// A session that was disconnected with others.
#[derive(Debug)]
pub(in crate::hub) struct Disconnected<D> {
    pub(in crate::hub) index: u32,
    pub(in crate::hub) generation: Generation,
    /// The link that it had, and how many links it had had before.
    pub(in crate::hub) link: Option<(ConnectionId, u32)>,
    pub(in crate::hub) ended: Ended<D>,
}

impl<D> Change<'_, D> {
    /// Converts the change to a value that borrows nothing.
    #[cfg(test)]
    pub(in crate::hub) fn into_owned(self) -> Change<'static, D> {
        fn owned<T: alloc::borrow::ToOwned + ?Sized>(value: Cow<'_, T>) -> Cow<'static, T> {
            Cow::Owned(value.into_owned())
        }
        match self {
            Self::Open(birth) => Change::Open(birth),
            Self::Attach { index, connection, claimed } => {
                Change::Attach { index, connection, claimed }
            }
            Self::Park { index, is_open } => Change::Park { index, is_open },
            Self::End { index, cause } => Change::End { index, cause },
            Self::Join { index, room } => Change::Join { index, room: owned(room) },
            Self::Leave { index, room } => Change::Leave { index, room: owned(room) },
            Self::SetData { index, data } => Change::SetData { index, data },
            Self::TakeAckId { id } => Change::TakeAckId { id },
            Self::Publish { to, event, ack, reliability, at } => {
                let (to, event) = (to.into_owned(), owned(event));
                Change::Publish { to, event, ack, reliability, at }
            }
            Self::JoinAll { to, room } => {
                Change::JoinAll { to: to.into_owned(), room: owned(room) }
            }
            Self::LeaveAll { to, room } => {
                Change::LeaveAll { to: to.into_owned(), room: owned(room) }
            }
            Self::EndAll { to } => Change::EndAll { to: to.into_owned() },
            Self::SettleAck { id } => Change::SettleAck { id },
            Self::ExpireLog => Change::ExpireLog,
            Self::Count { index } => Change::Count { index },
            Self::Accept { index, offset, waiting } => {
                Change::Accept { index, offset: owned(offset), waiting }
            }
            Self::Answer { index, key, args, is_sent } => {
                Change::Answer { index, key, args: owned(args), is_sent }
            }
            Self::Withdraw { index, id, offset } => {
                Change::Withdraw { index, id, offset: offset.map(owned) }
            }
            Self::Question { index, ids } => Change::Question { index, ids },
            Self::Hold { index, position } => Change::Hold { index, position },
            Self::Release { index, generation, position } => {
                Change::Release { index, generation, position }
            }
            Self::Reach { index, generation, reached } => {
                Change::Reach { index, generation, reached }
            }
            Self::UnusedTurn { index, generation, paid } => {
                Change::UnusedTurn { index, generation, paid }
            }
            Self::Replay { index, position, is_empty } => {
                Change::Replay { index, position, is_empty }
            }
            Self::Refuse { index } => Change::Refuse { index },
            Self::Import { record, generation } => Change::Import { record, generation },
            Self::Arrive { arrival, generation } => Change::Arrive { arrival, generation },
            Self::Advance { position } => Change::Advance { position },
            Self::Follow { origin } => Change::Follow { origin },
        }
    }
}

impl<D> Effect<D> {
    /// Whether the change had an effect.
    pub(in crate::hub) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    pub(in crate::hub) fn opened(self) -> Option<u32> {
        if let Self::Opened(index) = self { Some(index) } else { None }
    }

    pub(in crate::hub) fn ended(self) -> Option<Ended<D>> {
        if let Self::Ended(ended) = self { Some(ended) } else { None }
    }

    pub(in crate::hub) fn replaced(self) -> Option<D> {
        if let Self::Replaced(data) = self { Some(data) } else { None }
    }

    pub(in crate::hub) fn published(self) -> Option<Published> {
        if let Self::Published(published) = self { Some(published) } else { None }
    }

    /// The number of sessions that were changed, and that were not because of a limit.
    pub(in crate::hub) fn counted(self) -> (usize, usize) {
        if let Self::Counted { changed, refused } = self { (changed, refused) } else { (0, 0) }
    }

    pub(in crate::hub) fn all_ended(self) -> Vec<Disconnected<D>> {
        if let Self::AllEnded(ended) = self { ended } else { Vec::new() }
    }

    pub(in crate::hub) fn accepted(self) -> Option<Known> {
        if let Self::Accepted(known) = self { Some(known) } else { None }
    }

    pub(in crate::hub) fn answered(self) -> Option<AckRequest> {
        if let Self::Answered(waiting) = self { Some(waiting) } else { None }
    }

    /// The packets that answer a question; none if the session is not known.
    pub(in crate::hub) fn told(self) -> Vec<Encoded> {
        if let Self::Told(packets) = self { packets } else { Vec::new() }
    }

    pub(super) fn done(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::None }
    }

    pub(super) fn of<T>(found: Option<T>, effect: impl FnOnce(T) -> Self) -> Self {
        found.map_or(Self::None, effect)
    }
}
