//! The way to a loop from other threads.

use std::{
    io, mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::BytesMut;
use mio::{Waker, net::TcpStream};

use super::http::Request;

/// A TCP connection for a loop: just accepted, or from a loop that does not have the session.
pub struct Arrival {
    /// The stream, registered nowhere.
    pub stream: TcpStream,
    /// What was read from it, behind the request.
    pub input: BytesMut,
    /// The request that was read.
    pub request: Option<Request>,
}

/// Hands connections to a loop, and wakes it.
#[derive(Clone)]
pub struct Handle {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    waker: Arc<Waker>,
}

impl Handle {
    pub(super) fn new(waker: Waker) -> Self {
        Self { arrivals: Arc::default(), waker: Arc::new(waker) }
    }

    /// Hands a connection over.
    ///
    /// # Errors
    ///
    /// If the loop cannot be woken.
    pub fn send(&self, arrival: Arrival) -> io::Result<()> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
        self.wake()
    }

    /// Wakes the loop: [`Machine::handle_wake`](super::Machine::handle_wake) follows.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    pub fn wake(&self) -> io::Result<()> {
        self.waker.wake()
    }

    pub(super) fn take(&self) -> Vec<Arrival> {
        mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
