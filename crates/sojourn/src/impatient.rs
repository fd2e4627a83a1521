//! A connection that is patient with silence between requests, and impatient
//! with a request that has begun: hyper has one timeout for both. What hyper
//! refuses by itself it answers without a body; here such an answer gets one.

mod unasked;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

/// How long a connection that was closed in the middle of a request is still
/// listened to. Without that the sender's next bytes are answered with a reset,
/// which takes the answer away from it.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long an answer may wait for its reader.
const UNREAD_WITHIN: Duration = Duration::from_secs(30);

/// The bytes to answer with where nothing that knows requests is asked, by status.
pub type Refuse = fn(u16) -> Vec<u8>;

/// How far the requests of a connection are: told by whoever serves them.
#[derive(Debug, Default)]
pub struct Progress {
    begun: AtomicU64,
    answered: AtomicU64,
    closes: AtomicBool,
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

    /// The connection ends with the answer, whether or not the request was read.
    pub fn close(&self) {
        self.closes.store(true, Ordering::Relaxed);
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
    refuse: Refuse,
    /// Longest time from the first byte of a request to the end of its head.
    patience: Duration,
    /// Set by the first byte; with the number of requests before it.
    waiting: Option<(u64, Pin<Box<Sleep>>)>,
    /// What is written in place of hyper's empty answer, and how much of it was.
    refusal: Option<(Vec<u8>, usize)>,
    /// Runs while the other side does not read.
    unread: Option<Pin<Box<Sleep>>>,
    /// Runs from the end of our side on.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    /// Gives up on heads that take longer than `patience`.
    pub const fn new(stream: TcpStream, progress: Arc<Progress>, patience: Duration, refuse: Refuse) -> Self {
        Self {
            stream,
            progress,
            refuse,
            patience,
            waiting: None,
            refusal: None,
            unread: None,
            lingering: None,
        }
    }
}

/// Writes, unless the other side has not read for too long.
fn write(
    stream: &mut TcpStream,
    unread: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    if let Poll::Ready(written) = Pin::new(stream).poll_write(cx, bytes) {
        *unread = None;
        return Poll::Ready(written);
    }
    let deadline = unread.get_or_insert_with(|| Box::pin(tokio::time::sleep(UNREAD_WITHIN)));
    ready!(deadline.as_mut().poll(cx));
    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
                // All at once or not at all: there is room for it, since nothing was answered before.
                let _ = this.stream.try_write(&(this.refuse)(408));
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
        let Self { stream, progress, refuse, refusal, unread, .. } = &mut *self;
        if refusal.is_none() {
            match unasked::find(bytes) {
                None => return write(stream, unread, cx, bytes),
                // The end of the answer before, first.
                Some((at, _)) if at > 0 => return write(stream, unread, cx, &bytes[..at]),
                Some((_, status)) => *refusal = Some((refuse(status), 0)),
            }
        }
        // hyper writes nothing after its own answer.
        if let Some((refusal, written)) = refusal {
            progress.close();
            while *written < refusal.len() {
                *written += ready!(write(stream, unread, cx, &refusal[*written..]))?;
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        if !this.progress.closes.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let deadline = this.lingering.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        while deadline.as_mut().poll(cx).is_pending() {
            let mut waste = [0; 4096];
            let mut waste = ReadBuf::new(&mut waste);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut waste));
            if read.is_err() || waste.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    fn refuse(status: u16) -> Vec<u8> {
        format!("refused with {status}").into_bytes()
    }

    async fn pair(patience: Duration) -> (TcpStream, Impatient, Arc<Progress>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let progress = Arc::new(Progress::default());
        let server = Impatient::new(accepted.expect("accepted").0, progress.clone(), patience, refuse);
        (client.expect("connected"), server, progress)
    }

    #[tokio::test]
    async fn inp_02_a_head_that_is_begun_and_not_ended_is_given_up() {
        let (mut client, mut server, _) = pair(Duration::from_millis(30)).await;
        client.write_all(b"GET").await.expect("sent");
        let mut buffer = [0; 64];
        assert_eq!(server.read(&mut buffer).await.expect("read"), 3);
        assert_eq!(server.read(&mut buffer).await.expect_err("given up").kind(), io::ErrorKind::TimedOut);
        drop(server);
        let mut told = String::new();
        client.read_to_string(&mut told).await.expect("told why");
        assert_eq!(told, "refused with 408");
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
