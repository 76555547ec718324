//! The namespaces: those that were added, and those that were created when clients asked for them.

use alloc::boxed::Box;

use super::{
    Hub,
    error::NamespaceError,
    namespace::Namespace,
    sessions::{Change, Sessions},
};
use crate::{socket::NamespaceName, stats::increment};

/// Separates the packets of one HTTP body.
const RECORD_SEPARATOR: char = '\u{1e}';

impl<D: Default> Hub<D> {
    /// See [`At::add_namespace`](super::At::add_namespace).
    pub(super) fn add_namespace(&mut self, name: &str) -> Result<(), NamespaceError> {
        let name = NamespaceName::new(name).map_err(|_| NamespaceError::InvalidName)?;
        if self.find_namespace(name.as_str()).is_some() {
            return Ok(());
        }
        let id = self.create_or_occupy(name)?;
        if let Some(namespace) = self.namespaces.get_mut(&id) {
            namespace.is_dynamic = false;
        }
        Ok(())
    }

    /// See [`At::add_namespaces_matching`](super::At::add_namespaces_matching).
    pub(super) fn add_namespaces_matching(
        &mut self,
        predicate: impl Fn(&str) -> bool + Send + 'static,
    ) {
        self.predicates.push(Box::new(predicate));
    }

    /// The namespace that a client asks for. Creates it if a predicate accepts its name.
    pub(super) fn find_or_create(&mut self, name: &NamespaceName) -> Option<u32> {
        if let Some(id) = self.find_namespace(name.as_str()) {
            return Some(id);
        }
        if !self.is_accepted(name) {
            increment(&mut self.totals.connects_refused.invalid_namespace);
            return None;
        }
        let created = self.create_or_occupy(name.clone()).ok();
        if created.is_none() {
            increment(&mut self.totals.connects_refused.too_many_namespaces);
        }
        created
    }

    /// Whether a namespace with this name may be created when a client asks for it.
    ///
    /// A name that contains the record separator is not accepted: over HTTP long-polling, its
    /// packets would be split.
    pub(super) fn is_accepted(&self, name: &NamespaceName) -> bool {
        let can_be_carried = !name.as_str().contains(RECORD_SEPARATOR);
        can_be_carried && self.predicates.iter().any(|accepts| accepts(name.as_str()))
    }

    /// Removes a namespace that a predicate accepted, if it is not needed any more.
    pub(super) fn settle(&mut self, id: u32) {
        let Some(namespace) = self.namespaces.get_mut(&id) else {
            return;
        };
        let deadline = namespace.deadline();
        self.timers.arm(id, &mut namespace.armed, deadline);
        let is_removable = namespace.is_removable();
        if self.grace.ends_at() > self.now {
            self.arm_promptly(id);
        }
        if is_removable && !self.keeps_vacant(id) {
            self.remove_namespace(id);
        }
    }

    pub(super) fn remove_namespace(&mut self, id: u32) {
        let Some(mut namespace) = self.namespaces.remove(&id) else { return };
        self.timers.disarm(id, &mut namespace.armed);
        self.prompt.disarm(id, &mut namespace.armed_promptly);
        self.keep_changes(id, None);
        let evicted = namespace.sessions.log().made_room();
        self.totals.packets_evicted = self.totals.packets_evicted.wrapping_add(evicted);
        self.namespace_ids.note_end(namespace.sessions.next_ack());
        let name = namespace.sessions.name();
        #[cfg(test)]
        self.journal.note(super::sessions::Entry::Gone { name: name.clone() });
        self.names.remove(name);
        self.note_removed(&namespace);
    }

    fn create_or_occupy(&mut self, name: NamespaceName) -> Result<u32, NamespaceError> {
        let limit = self.config.limits.namespaces;
        if self.namespaces.len().saturating_sub(self.vacant_namespaces()) >= limit {
            return Err(NamespaceError::TooMany { limit });
        }
        let vacant = self.names.get(&name).copied();
        let id = vacant.unwrap_or_else(|| self.insert_namespace(name, true));
        self.occupy(id);
        Ok(id)
    }

    /// Creates a namespace, even beyond the limit.
    pub(super) fn insert_namespace(&mut self, name: NamespaceName, is_dynamic: bool) -> u32 {
        let id = self.namespace_ids.draw(|id| self.namespaces.contains_key(&id));
        let epoch = u64::from(self.random());
        let (config, next_ack) = (self.config.clone(), self.namespace_ids.next_ack());
        let sessions = Sessions::new(name.clone(), config.clone(), epoch).asking_from(next_ack);
        #[cfg(feature = "record")]
        let sessions = sessions.recorded_by(self.recorder.clone());
        #[cfg(test)]
        let sessions = sessions.recorded(&self.journal, epoch);
        let mut sessions = sessions;
        let channel = self.channel_of(&name);
        if let Some(origin) = self.origin(channel) {
            sessions.apply(self.now, Change::Follow { origin });
            self.keep_changes(id, Some(origin));
        }
        self.namespaces.insert(id, Namespace::new(id, sessions, channel, config, is_dynamic));
        self.names.insert(name, id);
        id
    }

    pub(super) fn random(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// A namespace that is in use. One that nobody here is in does not exist for the application.
    pub(super) fn find_namespace(&self, name: &str) -> Option<u32> {
        self.in_use(self.names.get(name).copied())
    }

    /// The same, of one that was found.
    pub(super) fn in_use(&self, id: Option<u32>) -> Option<u32> {
        id.filter(|id| !self.namespaces.get(id).is_some_and(Namespace::is_vacant))
    }
}
