//! Resolves audiences to sessions.

use alloc::vec::Vec;
use core::{mem, ops::Deref};

use smallvec::SmallVec;

use super::{Recipients, Sessions};
use crate::{
    recovery::{Addressees, Occupant, RoomId},
    shrink,
};

impl<D> Sessions<D> {
    /// The room ids of the recipients; `None` if all their rooms are empty.
    pub(super) fn resolve(&self, to: &Recipients<'_>) -> Option<Addressees> {
        let find = |name: &str| self.log.rooms().find(name);
        let Addressees { mut targets, mut except } = match to {
            Recipients::Session { id, index } => {
                return self.locate(id, *index).map(Self::addressed_to);
            }
            Recipients::Audience { rooms, except, except_sessions } => {
                let mut found = named(rooms, except, find);
                let excepted = except_sessions.iter().filter_map(|id| self.locate(id, None));
                found.except.extend(excepted.map(RoomId::own));
                found
            }
            Recipients::Received(options) => named(options.rooms(), options.excepted(), find),
        };
        sort(&mut targets);
        targets.retain(|room| self.is_inhabited(*room));
        sort(&mut except);
        (!targets.is_empty()).then_some(Addressees { targets, except })
    }

    /// The room ids of an audience, of which a part may be in other processes. Creates the rooms
    /// that do not exist. The caller must log a packet for them at once.
    ///
    /// An own room becomes an ordinary room, because it has to be found by its name when its session
    /// is in another process.
    pub(super) fn resolve_for_all(&mut self, to: &Recipients<'_>) -> Option<Addressees> {
        let mut find = |name: &str| Some(self.room_to_join(name));
        let Addressees { mut targets, mut except } = match to {
            Recipients::Session { .. } => return self.resolve(to),
            Recipients::Audience { rooms, except, except_sessions } => {
                let mut found = named(rooms, except, &mut find);
                found.except.extend(except_sessions.iter().filter_map(|id| find(id.as_str())));
                found
            }
            Recipients::Received(options) => named(options.rooms(), options.excepted(), find),
        };
        sort(&mut targets);
        sort(&mut except);
        Some(Addressees { targets, except })
    }

    /// The address of a single session.
    pub(super) fn addressed_to(index: u32) -> Addressees {
        Addressees {
            targets: SmallVec::from_buf_and_len([RoomId::own(index), RoomId::ALL], 1),
            except: SmallVec::new(),
        }
    }

    /// An upper bound for the number of connected sessions that are addressed.
    pub(super) fn reach(&self, to: &Addressees) -> usize {
        let rooms = self.log.rooms();
        let lives = to.targets.iter().map(|room| rooms.live(*room).len().max(1));
        lives.fold(0, usize::saturating_add).min(self.members.len())
    }

    /// Calls `visit` for each addressed session that is connected, once.
    pub(super) fn visit(&mut self, to: &Addressees, mut visit: impl FnMut(Occupant)) {
        if let ([room], []) = (&*to.targets, &*to.except) {
            return self.live(*room).for_each(visit);
        }
        let mut marks = self.start_marks();
        let is_crowded = is_crowded(to, |room| self.log.rooms().live(room).len());
        if !is_crowded {
            for room in &to.except {
                self.live(*room).for_each(|occupant| {
                    marks.set(occupant.socket);
                });
            }
        }
        let is_left_out = |socket| is_crowded && self.is_in_any(socket, &to.except);
        for room in &to.targets {
            let addressed = self.live(*room).filter(|occupant| marks.set(occupant.socket));
            addressed.filter(|occupant| !is_left_out(occupant.socket)).for_each(&mut visit);
        }
        self.marks = marks;
    }

    /// The recipients, parked sessions included, each once.
    pub(in crate::hub) fn select(&mut self, to: &Recipients<'_>) -> Vec<u32> {
        self.resolve(to).map_or_else(Vec::new, |to| self.select_addressed(&to))
    }

    fn select_addressed(&mut self, to: &Addressees) -> Vec<u32> {
        let mut marks = self.start_marks();
        let rooms = self.log.rooms();
        let count = |room| rooms.live(room).len().saturating_add(rooms.parked(room).len());
        let is_crowded = is_crowded(to, count);
        if !is_crowded {
            for room in &to.except {
                self.everyone_in(*room).for_each(|socket| {
                    marks.set(socket);
                });
            }
        }
        let is_left_out = |socket| is_crowded && self.is_in_any(socket, &to.except);
        let mut selected = Vec::new();
        for room in &to.targets {
            let addressed = self.everyone_in(*room).filter(|socket| marks.set(*socket));
            selected.extend(addressed.filter(|socket| !is_left_out(*socket)));
        }
        self.marks = marks;
        selected
    }

    fn is_in_any(&self, socket: u32, rooms: &[RoomId]) -> bool {
        let member = self.members.get(socket as usize);
        member.is_some_and(|it| rooms.iter().any(|room| it.memberships.is_in(*room)))
    }

    /// Takes out the marks, so that the caller can borrow the rooms meanwhile.
    fn start_marks(&mut self) -> Marks {
        let mut marks = mem::take(&mut self.marks);
        marks.start(self.members.capacity());
        marks
    }

    fn is_inhabited(&self, room: RoomId) -> bool {
        self.everyone_in(room).next().is_some()
    }
}

/// The rooms that `find` finds by their names. Without names, it is the room of all.
fn named<T: Deref<Target = str>>(
    rooms: &[T],
    except: &[T],
    mut find: impl FnMut(&str) -> Option<RoomId>,
) -> Addressees {
    let mut targets: SmallVec<_> = rooms.iter().filter_map(|name| find(name)).collect();
    if rooms.is_empty() {
        targets.push(RoomId::ALL);
    }
    Addressees { targets, except: except.iter().filter_map(|name| find(name)).collect() }
}

/// Sorts rooms, and keeps each once.
fn sort(rooms: &mut SmallVec<[RoomId; 2]>) {
    rooms.sort_unstable();
    rooms.dedup();
}

/// Whether the excepted rooms are so much larger than the target rooms that it is cheaper to check
/// the rooms of each addressed socket than to mark all excepted sockets.
fn is_crowded(to: &Addressees, count: impl Fn(RoomId) -> usize) -> bool {
    let sum = |rooms: &[RoomId]| {
        rooms.iter().map(|room| count(*room).max(1)).fold(0, usize::saturating_add)
    };
    sum(&to.except) > sum(&to.targets).saturating_mul(LOOKUP.saturating_mul(to.except.len()))
}

/// The cost of finding a room among the rooms of a socket. The unit is the cost of marking one
/// socket.
const LOOKUP: usize = 8;

/// Marks sockets so that each is visited once. Nothing has to be cleared between broadcasts.
#[derive(Debug, Default)]
pub(super) struct Marks {
    marks: Vec<u32>,
    current: u32,
}

impl Marks {
    fn start(&mut self, sockets: usize) {
        if self.current == u32::MAX {
            self.marks.fill(0);
            self.current = 0;
        }
        self.current += 1;
        if self.marks.len() < sockets {
            self.marks.resize(sockets, 0);
        } else if shrink::is_sparse(sockets, self.marks.len()) {
            self.marks.truncate(sockets);
            self.marks.shrink_to_fit();
        }
    }

    /// Marks a socket. Returns whether it was unmarked.
    fn set(&mut self, socket: u32) -> bool {
        let Some(mark) = self.marks.get_mut(socket as usize) else {
            return false;
        };
        mem::replace(mark, self.current) != self.current
    }
}
