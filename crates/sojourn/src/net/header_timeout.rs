//! A stream with a timeout for the head of a request, apart from the one for silence between
//! requests: hyper has one timeout for both. It also replaces the bodiless answers that hyper
//! writes by itself.

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
    time::Sleep,
};

use super::{LINGER, RenderRejection, parser_error, write_deadline::WriteDeadline};

/// How far the requests of a connection are. The service that answers them keeps it up to date.
#[derive(Debug, Default)]
pub struct RequestProgress {
    begun: AtomicU64,
    answered: AtomicU64,
    closes: AtomicBool,
}

impl RequestProgress {
    /// A request's head is complete.
    pub fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// The request is answered.
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

    /// Returns when no request was in progress and none has begun for `quiet`, and at the latest
    /// after twice that time.
    pub async fn idle_for(&self, quiet: Duration) {
        loop {
            let begun = self.begun();
            tokio::time::sleep(quiet).await;
            if self.is_idle() && self.begun() == begun {
                return;
            }
        }
    }
}

#[derive(Debug)]
pub struct HeaderTimeoutStream<S> {
    stream: S,
    progress: Arc<RequestProgress>,
    render_rejection: RenderRejection,
    header_timeout: Duration,
    /// The head that is being read: from its first byte until its request begins.
    head: Option<UnfinishedHead>,
    /// Whether the last head that was begun is a browser's navigation.
    is_navigation: bool,
    /// What replaces hyper's own answer, and how much of it is written.
    rejection: Option<(Vec<u8>, usize)>,
    /// Runs while the other side does not read.
    write_deadline: WriteDeadline,
    /// Runs from the end of our side on.
    linger_deadline: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct UnfinishedHead {
    requests_before: u64,
    deadline: Pin<Box<Sleep>>,
}

impl<S> HeaderTimeoutStream<S> {
    pub const fn new(
        stream: S,
        progress: Arc<RequestProgress>,
        header_timeout: Duration,
        render_rejection: RenderRejection,
    ) -> Self {
        Self {
            stream,
            progress,
            render_rejection,
            header_timeout,
            head: None,
            is_navigation: false,
            rejection: None,
            write_deadline: WriteDeadline::new(),
            linger_deadline: None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HeaderTimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(head) = &mut this.head {
            if this.progress.begun() != head.requests_before {
                this.head = None;
            } else if head.deadline.as_mut().poll(cx).is_ready() {
                // One attempt: the send buffer has room for it, since nothing else was answered.
                let rejection = (this.render_rejection)(408, this.is_navigation);
                let _ = Pin::new(&mut this.stream).poll_write(cx, &rejection);
                let _ = Pin::new(&mut this.stream).poll_flush(cx);
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let received = &buffer.filled()[before..];
        if !received.is_empty() && this.head.is_none() && this.progress.is_idle() {
            this.is_navigation = false;
            this.head = Some(UnfinishedHead {
                requests_before: this.progress.begun(),
                deadline: Box::pin(tokio::time::sleep(this.header_timeout)),
            });
        }
        if this.head.is_some() && !this.is_navigation {
            this.is_navigation = parser_error::is_navigation(received);
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeaderTimeoutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, progress, render_rejection, is_navigation, rejection, write_deadline, .. } =
            &mut *self;
        if rejection.is_none() {
            match parser_error::detect_parser_error(bytes) {
                None => return write_deadline.write(stream, cx, bytes),
                // The end of the answer before, first.
                Some((at, _)) if at > 0 => return write_deadline.write(stream, cx, &bytes[..at]),
                Some((_, status)) => *rejection = Some((render_rejection(status, *is_navigation), 0)),
            }
        }
        // hyper writes nothing after its own answer.
        if let Some((rejection, written)) = rejection {
            progress.close();
            while *written < rejection.len() {
                *written += ready!(write_deadline.write(stream, cx, &rejection[*written..]))?;
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
        let deadline = this.linger_deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        while deadline.as_mut().poll(cx).is_pending() {
            let mut discarded = [0; 4096];
            let mut discarded = ReadBuf::new(&mut discarded);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut discarded));
            if read.is_err() || discarded.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    fn render(status: u16, _is_navigation: bool) -> Vec<u8> {
        format!("rejected with {status}").into_bytes()
    }

    fn pair(
        header_timeout: Duration,
    ) -> (DuplexStream, HeaderTimeoutStream<DuplexStream>, Arc<RequestProgress>) {
        let (client, server) = tokio::io::duplex(1024);
        let progress = Arc::new(RequestProgress::default());
        let server = HeaderTimeoutStream::new(server, progress.clone(), header_timeout, render);
        (client, server, progress)
    }

    #[tokio::test]
    async fn a_head_that_is_begun_and_not_ended_times_out() {
        let (mut client, mut server, _) = pair(Duration::from_millis(30));
        client.write_all(b"GET").await.expect("sent");
        let mut buffer = [0; 64];
        assert_eq!(server.read(&mut buffer).await.expect("read"), 3);
        assert_eq!(server.read(&mut buffer).await.expect_err("too slow").kind(), io::ErrorKind::TimedOut);
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("the answer");
        assert_eq!(answer, "rejected with 408");
    }

    #[tokio::test]
    async fn idle_time_and_a_slow_body_are_no_slow_head() {
        let (mut client, mut server, progress) = pair(Duration::from_millis(30));
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
