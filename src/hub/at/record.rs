//! Records, for simulations.

use super::At;
use crate::hub::Recorder;

impl<D> At<'_, D> {
    /// Reports what happens to sessions and rooms from now on. It is for simulations and tests, and
    /// exists only with the feature `record`.
    ///
    /// ```
    /// # use std::sync::{Arc, Mutex};
    /// use socketio_proto::hub::Record;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::Timestamp;
    ///
    /// let mut server = Server::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// let emitted = Arc::new(Mutex::new(Vec::new()));
    /// let list = Arc::clone(&emitted);
    /// server.at(Timestamp::ZERO).set_recorder(Arc::new(move |record: &Record<'_>| {
    ///     if let Record::Emitted { event, .. } = record {
    ///         list.lock().unwrap().push(event.name().to_owned());
    ///     }
    /// }));
    /// # server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn set_recorder(&mut self, recorder: Recorder) {
        self.hub.set_recorder(recorder);
    }
}
