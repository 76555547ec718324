//! Whether the application wants a namespace.

/// What the application wants with a namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Demand {
    /// Joined on every connection.
    Active,
    /// Not joined until the application asks for it. What is buffered stays.
    #[default]
    Inactive,
    /// Removed, as soon as the server has answered what was sent.
    Forgotten,
}

impl Demand {
    /// The namespace is not joined any more.
    pub(super) fn deactivate(&mut self) {
        if *self == Self::Active {
            *self = Self::Inactive;
        }
    }
}
