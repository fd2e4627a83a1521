//! HTTP/2: its limits, the timeout for the head of a request, and requests in the form that
//! HTTP/1.1 gives them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::{HeaderValue, Request, header};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::write_deadline::WriteDeadline;

/// Requests that one connection may have in progress.
const MAX_CONCURRENT_STREAMS: u32 = 100;

/// Above the limit of sojourn-server, so that a request that is a little too large gets that
/// crate's full answer. Above this one h2 answers 431 by itself, without a body.
const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;

/// Requests that a client resets before they were handled, and errors of its own making, after
/// which the connection ends (CVE-2023-44487 and RUSTSEC-2024-0003).
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 100;

/// What a client may send without being asked for more: of one request, and of all.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// A client that does not answer a ping is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to end that is told to.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

pub fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_WINDOW_BYTES as usize)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Gives a request what HTTP/1.1 has in one header: the host, which HTTP/2 has in `:authority`, and
/// the cookies, which browsers send in several fields to compress them (RFC 9113, 8.2.3, 8.3.1).
pub fn as_http1<B>(request: &mut Request<B>) {
    let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    let headers = request.headers_mut();
    if let Some(Ok(host)) = authority {
        headers.insert(header::HOST, host);
    }
    let crumbs: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1
        && let Ok(cookies) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, cookies);
    }
}

/// A stream that fails when the head of a request is begun and not ended in time (INP-02). hyper
/// has no such timeout for HTTP/2.
#[derive(Debug)]
pub struct HeadTimeoutStream<S> {
    stream: S,
    timeout: Duration,
    frames: FrameReader,
    /// For the head with this number.
    deadline: Option<(u64, Pin<Box<Sleep>>)>,
    write_deadline: WriteDeadline,
}

impl<S> HeadTimeoutStream<S> {
    pub const fn new(stream: S, timeout: Duration) -> Self {
        Self {
            stream,
            timeout,
            frames: FrameReader::new(),
            deadline: None,
            write_deadline: WriteDeadline::new(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadTimeoutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, timeout, frames, deadline, .. } = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(cx, buffer);
        frames.feed(&buffer.filled()[before..]);
        if !frames.is_inside_head() {
            *deadline = None;
        } else if read.is_pending() {
            let number = frames.heads;
            let mut running = deadline
                .take()
                .filter(|(of, _)| *of == number)
                .unwrap_or_else(|| (number, Box::pin(tokio::time::sleep(*timeout))));
            if running.1.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            *deadline = Some(running);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HeadTimeoutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, write_deadline, .. } = &mut *self;
        write_deadline.write(stream, cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Follows the frames of a connection (RFC 9113, 4.1) as far as to know where heads begin and end.
#[derive(Debug)]
struct FrameReader {
    at: Position,
    /// Between a HEADERS frame and the end of the last CONTINUATION.
    in_head: bool,
    /// How many heads have ended.
    heads: u64,
}

#[derive(Debug)]
enum Position {
    Preface { missing: usize },
    FrameHeader { bytes: [u8; FRAME_HEADER_BYTES], filled: usize },
    Payload { missing: usize, ends_head: bool },
}

/// `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n` (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 9;
const FRAME_START: Position = Position::FrameHeader { bytes: [0; FRAME_HEADER_BYTES], filled: 0 };
const HEADERS: u8 = 0x01;
const CONTINUATION: u8 = 0x09;
const END_HEADERS: u8 = 0x04;

impl FrameReader {
    const fn new() -> Self {
        Self { at: Position::Preface { missing: PREFACE_BYTES }, in_head: false, heads: 0 }
    }

    /// Whether something is begun that a client sends in one piece: the preface, the header of a
    /// frame, the head of a request.
    fn is_inside_head(&self) -> bool {
        self.in_head
            || match &self.at {
                Position::Preface { missing } => *missing < PREFACE_BYTES,
                Position::FrameHeader { filled, .. } => *filled > 0,
                Position::Payload { .. } => false,
            }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.at {
                Position::Preface { missing } => {
                    *missing -= take(&mut bytes, *missing).len();
                    if *missing == 0 {
                        self.at = FRAME_START;
                        self.heads += 1;
                    }
                }
                Position::FrameHeader { bytes: header, filled } => {
                    let taken = take(&mut bytes, FRAME_HEADER_BYTES - *filled);
                    header[*filled..*filled + taken.len()].copy_from_slice(taken);
                    *filled += taken.len();
                    if *filled == FRAME_HEADER_BYTES {
                        let [a, b, c, kind, flags, ..] = *header;
                        let is_head = matches!(kind, HEADERS | CONTINUATION);
                        self.in_head |= is_head;
                        self.at = Position::Payload {
                            missing: u32::from_be_bytes([0, a, b, c]) as usize,
                            ends_head: is_head && flags & END_HEADERS != 0,
                        };
                        self.end_payload();
                    }
                }
                Position::Payload { missing, .. } => {
                    *missing -= take(&mut bytes, *missing).len();
                    self.end_payload();
                }
            }
        }
    }

    /// Goes on to the next frame if the payload is complete.
    fn end_payload(&mut self) {
        if let Position::Payload { missing: 0, ends_head } = self.at {
            if ends_head {
                self.in_head = false;
            }
            // While a head goes on, its deadline does as well.
            if !self.in_head {
                self.heads += 1;
            }
            self.at = FRAME_START;
        }
    }
}

/// Cuts at most `most` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(bytes.len().min(most));
    *bytes = rest;
    taken
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.extend(payload);
        frame
    }

    #[test]
    fn a_head_lasts_from_its_first_byte_to_its_last_continuation() {
        const DATA: u8 = 0x00;
        let begins = frame(HEADERS, 0, b"abc");
        let goes_on = frame(CONTINUATION, 0, b"defg");
        let ends = frame(CONTINUATION, END_HEADERS, b"");
        // What arrives, and whether a head is open behind it.
        let steps: &[(&[u8], bool)] = &[
            (PREFACE, false),
            (&frame(DATA, 0, b"body")[..11], false),
            (b"dy", false),
            (&begins[..1], true),
            (&begins[1..11], true),
            (&begins[11..], true),
            (&goes_on, true),
            (&ends, false),
            (&frame(HEADERS, END_HEADERS, b"hi")[..10], true),
            (b"i", false),
            (&frame(HEADERS, END_HEADERS, b""), false),
        ];
        let mut whole = FrameReader::new();
        let mut byte_by_byte = FrameReader::new();
        for (number, (bytes, open)) in steps.iter().enumerate() {
            whole.feed(bytes);
            bytes.chunks(1).for_each(|byte| byte_by_byte.feed(byte));
            assert_eq!((whole.is_inside_head(), byte_by_byte.is_inside_head()), (*open, *open), "{number}");
            assert_eq!(whole.heads, byte_by_byte.heads, "{number}");
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_fails_and_an_idle_stream_waits() {
        let (mut client, server) = tokio::io::duplex(1024);
        let mut server = HeadTimeoutStream::new(server, Duration::from_millis(30));
        let mut buffer = [0; 64];
        client.write_all(PREFACE).await.expect("sent");
        assert_eq!(server.read(&mut buffer).await.expect("read"), 24);
        let idle = tokio::time::timeout(Duration::from_millis(60), server.read(&mut buffer)).await;
        assert!(idle.is_err(), "nothing is begun");

        client.write_all(&frame(HEADERS, 0, b"abc")).await.expect("sent");
        assert_eq!(server.read(&mut buffer).await.expect("read"), 12);
        // More of the same head does not move its end.
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if client.write_all(&frame(CONTINUATION, 0, b"d")).await.is_err() {
                    return;
                }
            }
        });
        let error = loop {
            if let Err(error) = server.read(&mut buffer).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn host_and_cookies_are_one_header_each() {
        let mut request = Request::builder()
            .uri("https://auth.example.com/v1/client")
            .header("host", "other.example.com")
            .header("cookie", "a=1")
            .header("cookie", "b=2; c=3")
            .body(())
            .expect("a request");
        as_http1(&mut request);
        let all = |headers: &HeaderMap, name: &str| -> Vec<String> {
            headers.get_all(name).iter().map(|value| value.to_str().expect("text").to_owned()).collect()
        };
        assert_eq!(all(request.headers(), "host"), ["auth.example.com"]);
        assert_eq!(all(request.headers(), "cookie"), ["a=1; b=2; c=3"]);
    }
}
