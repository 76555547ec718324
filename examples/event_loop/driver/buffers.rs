//! The bytes between a TCP stream and the protocol on it.
//!
//! Protocols read from and write to memory only, so that one place alone deals with a stream that
//! would block, takes half a message or brings two at once.

use std::{
    io::{self, Read as _, Write as _},
    mem,
    net::Shutdown,
};

use bytes::{Buf as _, BytesMut};
use mio::{event::Event, net::TcpStream};

pub use socketio_proto_websocket::Buffers;

/// Bytes taken from a stream at a time.
const CHUNK: usize = 32 * 1024;
/// Capacity beyond which the memory of an empty buffer is given back to the system.
const KEPT: usize = 256 * 1024;

/// Takes the memory of `spare` if the buffer has none.
///
/// Buffers are empty between two turns of nearly every connection, so the memory belongs to the
/// loop, and a connection borrows it for its turn: an idle one has none.
pub fn borrow(buffers: &mut Buffers, spare: &mut Buffers) {
    borrow_one(&mut buffers.input, &mut spare.input);
    borrow_one(&mut buffers.output, &mut spare.output);
}

/// Gives the memory of what is empty to `spare`.
pub fn give_back(buffers: &mut Buffers, spare: &mut Buffers) {
    give_back_one(&mut buffers.input, &mut spare.input);
    give_back_one(&mut buffers.output, &mut spare.output);
}

fn borrow_one(buffer: &mut BytesMut, spare: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() < spare.capacity() {
        mem::swap(buffer, spare);
    }
}

fn give_back_one(buffer: &mut BytesMut, spare: &mut BytesMut) {
    if buffer.is_empty() {
        let buffer = mem::take(buffer);
        if buffer.capacity() > spare.capacity() && buffer.capacity() <= KEPT {
            *spare = buffer;
        }
    }
}

/// Where streams are read to, one for all of them.
pub struct Chunk(Box<[u8]>);

impl Default for Chunk {
    fn default() -> Self {
        Self(vec![0; CHUNK].into())
    }
}

/// A TCP stream, and what is known of it: the poll tells changes only.
pub struct Stream {
    tcp: TcpStream,
    reading: Reading,
    is_writable: bool,
}

/// What reading would bring.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Nothing until the poll says otherwise.
    Nothing,
    /// Bytes, perhaps.
    Bytes,
    /// The last bytes: the peer has closed its side, or the stream is broken.
    Last,
    /// The end.
    Ended,
}

/// A stream cannot be written to any more.
pub struct Broken;

impl Stream {
    /// A stream of which nothing is known.
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, reading: Reading::Bytes, is_writable: true }
    }

    /// The poll has news.
    pub fn handle_readiness(&mut self, event: &Event) {
        self.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
        if self.reading == Reading::Ended {
            return;
        }
        if event.is_read_closed() || event.is_error() {
            self.reading = Reading::Last;
        } else if event.is_readable() && self.reading == Reading::Nothing {
            self.reading = Reading::Bytes;
        }
    }

    /// Reads once, unless that would block.
    pub fn fill(&mut self, chunk: &mut Chunk, buffers: &mut Buffers) {
        if !self.is_readable() {
            return;
        }
        match self.tcp.read(&mut chunk.0) {
            Ok(0) => self.reading = Reading::Ended,
            Ok(len) => {
                buffers.input.extend_from_slice(chunk.0.get(..len).unwrap_or_default());
                // Less than there was room for is all there is, and saves the call that would say
                // so. Elsewhere the poll has to be asked for more by reading until that blocks.
                let is_all = len < chunk.0.len() && cfg!(unix);
                if is_all && self.reading == Reading::Bytes {
                    self.reading = Reading::Nothing;
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => self.reading = Reading::Nothing,
                io::ErrorKind::Interrupted => {}
                _ => self.reading = Reading::Ended,
            },
        }
    }

    /// Writes until all is written or that would block. Returns whether some was written.
    pub fn drain(&mut self, buffers: &mut Buffers) -> Result<bool, Broken> {
        let before = buffers.output.len();
        while self.is_writable && !buffers.output.is_empty() {
            match self.tcp.write(&buffers.output) {
                Ok(0) => return Err(Broken),
                Ok(len) => buffers.output.advance(len),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.is_writable = false,
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(Broken),
                },
            }
        }
        Ok(buffers.output.len() < before)
    }

    /// Tells the peer that nothing more will come.
    pub fn shut(&mut self) -> Result<(), Broken> {
        self.tcp.shutdown(Shutdown::Write).map_err(|_| Broken)
    }

    /// Whether reading might bring something.
    pub fn is_readable(&self) -> bool {
        matches!(self.reading, Reading::Bytes | Reading::Last)
    }

    /// Whether writing might not block.
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Whether the peer has closed its side, or the stream is broken.
    pub fn is_ended(&self) -> bool {
        self.reading == Reading::Ended
    }

    /// Returns the stream, of which nothing is known any more.
    pub fn into_tcp(self) -> TcpStream {
        self.tcp
    }
}
