//! Whom a change concerns, by names.

use alloc::{borrow::Cow, string::String};

#[cfg(test)]
use bytestring::ByteString;
use smallvec::SmallVec;

use crate::{
    cluster::message::BroadcastOptions,
    hub::audience::Audience,
    id::{ConnectionId, SocketId},
};

/// Whom a change concerns. It names rooms by name and sessions by public id, so it means the same
/// in every process and at every time. Who is concerned is decided when the change is made.
#[derive(Clone, Debug)]
pub(in crate::hub) enum Recipients<'a> {
    /// One session.
    Session {
        id: SocketId,
        /// Where the caller has just found the session, which saves a lookup. `None` in a change
        /// that is kept, because another session may get the index.
        index: Option<u32>,
    },
    /// The sessions in these rooms, or all if there are none, without those in the excepted rooms
    /// and without the excepted sessions.
    Audience {
        rooms: Cow<'a, [String]>,
        except: Cow<'a, [String]>,
        except_sessions: SmallVec<[SocketId; 1]>,
    },
    /// The same, as another node has named them.
    Received(&'a BroadcastOptions),
}

/// The links that a packet goes to.
pub(in crate::hub) type Links = SmallVec<[ConnectionId; 1]>;

impl<'a> Recipients<'a> {
    /// An audience, with its excepted sockets by their ids.
    pub(in crate::hub) fn of(
        audience: &'a Audience,
        except_sessions: impl Iterator<Item = SocketId>,
    ) -> Self {
        let (rooms, except) = audience.names();
        Self::Audience {
            rooms: Cow::Borrowed(rooms),
            except: Cow::Borrowed(except),
            except_sessions: except_sessions.collect(),
        }
    }

    /// Converts it to a value that borrows nothing and can be kept.
    #[cfg(test)]
    pub(super) fn into_owned(self) -> Recipients<'static> {
        match self {
            Self::Session { id, .. } => Recipients::Session { id, index: None },
            Self::Audience { rooms, except, except_sessions } => Recipients::Audience {
                rooms: Cow::Owned(rooms.into_owned()),
                except: Cow::Owned(except.into_owned()),
                except_sessions,
            },
            Self::Received(options) => {
                let names = |names: &[ByteString]| {
                    Cow::Owned(names.iter().map(|name| String::from(&**name)).collect())
                };
                Recipients::Audience {
                    rooms: names(options.rooms()),
                    except: names(options.excepted()),
                    except_sessions: SmallVec::new(),
                }
            }
        }
    }
}
