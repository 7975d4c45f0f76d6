//! Frames during the handshake: whole, one at a time, and short.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::net::Stream;
use crate::wire::frame;

/// The longest frame that either side may send before the session starts. Tokens and certificates' errors are far shorter.
const MAX_FRAME: usize = 64 * 1024;

/// One side of a handshake.
#[derive(Debug)]
pub struct Peer {
    pub stream: Stream,
    /// What was read and not yet looked at.
    pub buffer: BytesMut,
}

/// A whole frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    /// Header and body.
    pub bytes: BytesMut,
}

impl Frame {
    /// What follows the header.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(frame::HEADER..).unwrap_or_default()
    }
}

/// Why a side can't be read or written any further.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("it closed the connection")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    ImpossibleLength(#[from] frame::ImpossibleLength),
    #[error("it sent a message of {0} bytes during the handshake")]
    TooLong(usize),
}

impl PeerError {
    /// Whether the other side just went, where it might also have said something that can't be.
    pub fn is_silence(&self) -> bool {
        match self {
            PeerError::Closed | PeerError::Io(_) => true,
            PeerError::ImpossibleLength(_) | PeerError::TooLong(_) => false,
        }
    }
}

impl Peer {
    pub fn new(stream: Stream) -> Peer {
        Peer { stream, buffer: BytesMut::with_capacity(4096) }
    }

    /// The next frame. Cancelling loses nothing: what was read stays in the buffer.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn frame(&mut self) -> Result<Frame, PeerError> {
        loop {
            if let Some(header) = frame::header(&self.buffer)? {
                if header.frame() > MAX_FRAME {
                    return Err(PeerError::TooLong(header.frame()));
                }
                if self.buffer.len() >= header.frame() {
                    return Ok(Frame { kind: header.kind, bytes: self.buffer.split_to(header.frame()) });
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(PeerError::Closed);
            }
        }
    }

    /// Sends bytes at once.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), PeerError> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        Ok(())
    }
}
