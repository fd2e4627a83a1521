//! A connection that is patient with silence between requests, and impatient
//! with a request that has begun: hyper has one timeout for both.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

/// How far the requests of a connection are: told by whoever serves them.
#[derive(Debug, Default)]
pub struct Progress {
    begun: AtomicU64,
    answered: AtomicU64,
}

impl Progress {
    /// A request's head is complete.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// It is answered.
    pub fn finish(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    fn is_idle(&self) -> bool {
        self.begun() == self.answered.load(Ordering::Relaxed)
    }
}

/// The stream of one connection.
#[derive(Debug)]
pub struct Impatient {
    stream: TcpStream,
    progress: Arc<Progress>,
    /// Longest time from the first byte of a request to the end of its head.
    patience: Duration,
    /// Set by the first byte; with the number of requests before it.
    waiting: Option<(u64, Pin<Box<Sleep>>)>,
}

impl Impatient {
    /// Gives up on heads that take longer than `patience`.
    pub const fn new(stream: TcpStream, progress: Arc<Progress>, patience: Duration) -> Self {
        Self { stream, progress, patience, waiting: None }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some((before, deadline)) = &mut this.waiting {
            if this.progress.begun() != *before {
                this.waiting = None;
            } else if deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        let length = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > length && this.waiting.is_none() && this.progress.is_idle() {
            let deadline = Box::pin(tokio::time::sleep(this.patience));
            this.waiting = Some((this.progress.begun(), deadline));
        }
        read
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn pair(patience: Duration) -> (TcpStream, Impatient, Arc<Progress>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let progress = Arc::new(Progress::default());
        let server = Impatient::new(accepted.expect("accepted").0, progress.clone(), patience);
        (client.expect("connected"), server, progress)
    }

    #[tokio::test]
    async fn inp_02_a_head_that_is_begun_and_not_ended_is_given_up() {
        let (mut client, mut server, _) = pair(Duration::from_millis(30)).await;
        client.write_all(b"GET").await.expect("sent");
        let mut buffer = [0; 64];
        assert_eq!(server.read(&mut buffer).await.expect("read"), 3);
        assert_eq!(server.read(&mut buffer).await.expect_err("given up").kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn silence_between_requests_and_a_slow_body_are_no_slow_head() {
        let (mut client, mut server, progress) = pair(Duration::from_millis(30)).await;
        let mut buffer = [0; 64];
        client.write_all(b"head").await.expect("sent");
        assert_eq!(server.read(&mut buffer).await.expect("read"), 4);
        progress.begin();
        let slowly = Duration::from_millis(60);
        assert!(tokio::time::timeout(slowly, server.read(&mut buffer)).await.is_err(), "waits for the body");
        client.write_all(b"body").await.expect("sent");
        assert_eq!(server.read(&mut buffer).await.expect("read"), 4);
        progress.finish();
        assert!(tokio::time::timeout(slowly, server.read(&mut buffer)).await.is_err(), "waits for a request");
    }
}
