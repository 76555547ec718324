//! Says that a file cannot be used, and that it can be used again.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{config::SqliteConfig, event::SqliteEvent};

/// Why the file cannot be used, as it was told. `None` if it can.
#[derive(Clone, Default)]
pub(crate) struct Outage(Arc<Mutex<Option<String>>>);

impl Outage {
    /// The file cannot be used. The driver tries again and again, which is told once.
    pub(crate) fn failed(&self, config: &SqliteConfig, error: &impl Display) {
        let reason = error.to_string();
        let before = self.replace(Some(reason.clone()));
        if before.as_ref() != Some(&reason) {
            config.tell(SqliteEvent::Failed { reason });
        }
    }

    /// The file can be used.
    pub(crate) fn resumed(&self, config: &SqliteConfig) {
        if self.replace(None).is_some() {
            config.tell(SqliteEvent::Resumed);
        }
    }

    fn replace(&self, reason: Option<String>) -> Option<String> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut told, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SqliteError;

    #[test]
    fn each_reason_is_told_once_until_the_file_can_be_used() {
        let told = Arc::<Mutex<Vec<SqliteEvent>>>::default();
        let tell = Arc::clone(&told);
        let config = SqliteConfig::new("x").on_event(move |event| tell.lock().unwrap().push(event));
        let outage = Outage::default();
        outage.resumed(&config);
        for error in [SqliteError::Locked, SqliteError::Locked, SqliteError::DiskFull] {
            outage.failed(&config, &error);
        }
        outage.resumed(&config);
        outage.resumed(&config);
        outage.failed(&config, &SqliteError::DiskFull);
        let full = || SqliteEvent::Failed { reason: SqliteError::DiskFull.to_string() };
        let locked = SqliteEvent::Failed { reason: SqliteError::Locked.to_string() };
        assert_eq!(*told.lock().unwrap(), [locked, full(), SqliteEvent::Resumed, full()]);
    }
}
