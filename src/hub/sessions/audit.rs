//! For tests: compares the rooms with the sessions and the log.

use super::Sessions;
use crate::recovery::{Expected, RoomId};

impl<D> Sessions<D> {
    /// Panics unless the table of rooms contains exactly what the sessions and the log say.
    pub(in crate::hub) fn audit(&self) {
        let mut expected = Expected::default();
        for (index, member) in &self.members {
            let index = u32::try_from(index).unwrap();
            let own = member.memberships.current().iter().find(|it| it.room == RoomId::own(index));
            expected.session(member.id, index, own.unwrap().since);
            for membership in member.memberships.current() {
                expected.member(membership.room, membership.slot, index, member.connection());
            }
            member.memberships.past_rooms().for_each(|room| expected.past_member(room));
        }
        self.log.audit_rooms(expected);
    }
}
