//! A limit on how long the other side may leave unread what is written to it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{io::AsyncWrite, time::Sleep};

/// How long a client may leave an answer unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs while the other side does not read.
#[derive(Debug)]
pub struct WriteDeadline(Option<Pin<Box<Sleep>>>);

impl WriteDeadline {
    pub const fn new() -> Self {
        Self(None)
    }

    /// Writes, unless the other side has not read for too long.
    pub fn write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(stream).poll_write(cx, bytes) {
            self.0 = None;
            return Poll::Ready(written);
        }
        let deadline = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIMEOUT)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
