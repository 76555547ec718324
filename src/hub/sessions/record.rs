//! Reports changes to the recorder.

use alloc::vec::Vec;

use super::Sessions;
use crate::{
    hub::record::{Address, Record, Recorder},
    id::SocketId,
    recovery::{Addressees, RoomId},
    socket::{Encoded, Event},
};

impl<D> Sessions<D> {
    pub(in crate::hub) fn recorded_by(mut self, recorder: Option<Recorder>) -> Self {
        self.set_recorder(recorder);
        self
    }

    pub(in crate::hub) fn set_recorder(&mut self, recorder: Option<Recorder>) {
        self.recorder = recorder;
    }

    pub(super) fn record_opened(&self, socket: SocketId) {
        self.record(&Record::Opened { namespace: &self.name, socket });
    }

    pub(super) fn record_ended(&self, socket: SocketId) {
        self.record(&Record::Ended { namespace: &self.name, socket });
    }

    pub(super) fn record_joined(&self, index: u32, room: &str) {
        if let Some(member) = self.members.get(index as usize) {
            let (namespace, socket) = (&self.name, member.id);
            self.record(&Record::Joined { namespace, socket, room });
        }
    }

    pub(super) fn record_left(&self, index: u32, room: &str) {
        if let Some(member) = self.members.get(index as usize) {
            let (namespace, socket) = (&self.name, member.id);
            self.record(&Record::Left { namespace, socket, room });
        }
    }

    pub(super) fn record_emitted(
        &self,
        to: &Addressees,
        event: &Event,
        packet: &Encoded,
        asks: bool,
        is_logged: bool,
    ) {
        if self.recorder.is_some() {
            self.record(&Record::Emitted {
                namespace: &self.name,
                to: self.addresses(&to.targets),
                except: self.addresses(&to.except),
                event,
                packet,
                is_logged,
                asks,
            });
        }
    }

    fn addresses(&self, rooms: &[RoomId]) -> Vec<Address<'_>> {
        let address = |room: &RoomId| {
            if *room == RoomId::ALL {
                return Some(Address::Everyone);
            }
            if let Some(index) = room.owner() {
                return self.members.get(index as usize).map(|it| Address::Socket(it.id));
            }
            self.log.rooms().name(*room).map(|name| Address::Room(name))
        };
        rooms.iter().filter_map(address).collect()
    }

    fn record(&self, record: &Record<'_>) {
        if let Some(recorder) = &self.recorder {
            recorder(record);
        }
    }
}
