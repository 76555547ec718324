//! The bytes between a TCP stream and the protocol on it.
//!
//! Protocols read from and write to memory only, so that one place alone deals with a stream that
//! would block, takes half a message or brings two at once.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
};

use bytes::{Buf as _, BytesMut};
use mio::{event::Event, net::TcpStream};

/// Bytes taken from a stream at a time.
const CHUNK: usize = 8 * 1024;
/// Capacity beyond which the memory of an empty buffer is given back.
const KEPT: usize = 2 * CHUNK;

/// What was received and not understood yet, and what is to be sent.
#[derive(Debug, Default)]
pub struct Buffers {
    /// Received.
    pub input: BytesMut,
    /// To be sent.
    pub output: BytesMut,
}

/// A TCP stream, and what is known of it: the poll tells changes only.
pub struct Stream {
    tcp: TcpStream,
    is_readable: bool,
    is_writable: bool,
    is_ended: bool,
}

/// A stream cannot be written to any more.
pub struct Broken;

impl Stream {
    /// A stream of which nothing is known.
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, is_readable: true, is_writable: true, is_ended: false }
    }

    /// The poll has news.
    pub fn handle_readiness(&mut self, event: &Event) {
        self.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    /// Reads once, unless that would block.
    pub fn fill(&mut self, buffers: &mut Buffers) {
        if !self.is_readable() {
            return;
        }
        let mut chunk = [0; CHUNK];
        match self.tcp.read(&mut chunk) {
            Ok(0) => self.is_ended = true,
            Ok(len) => buffers.input.extend_from_slice(chunk.get(..len).unwrap_or_default()),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => self.is_readable = false,
                io::ErrorKind::Interrupted => {}
                _ => self.is_ended = true,
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
        let has_moved = buffers.output.len() < before;
        give_back(&mut buffers.output);
        Ok(has_moved)
    }

    /// Tells the peer that nothing more will come.
    pub fn shut(&mut self) -> Result<(), Broken> {
        self.tcp.shutdown(Shutdown::Write).map_err(|_| Broken)
    }

    /// Whether reading might bring something.
    pub fn is_readable(&self) -> bool {
        self.is_readable && !self.is_ended
    }

    /// Whether writing might not block.
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Whether the peer has closed its side, or the stream is broken.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }
}

/// For tungstenite: all that was received, and then "not now".
impl Read for Buffers {
    fn read(&mut self, dest: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = self.input.len().min(dest.len());
        self.input.split_to(len).copy_to_slice(dest.get_mut(..len).unwrap_or_default());
        give_back(&mut self.input);
        Ok(len)
    }
}

/// For tungstenite: never blocks. The connection stops asking for more when there is much.
impl Write for Buffers {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn give_back(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > KEPT {
        *buffer = BytesMut::new();
    }
}
