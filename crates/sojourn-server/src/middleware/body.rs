//! Timeouts of a request. The body is read before the handler starts, so a slow client uses its own
//! time limit and not the handler's (INP-02).

use std::{future::poll_fn, pin::pin, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::request_limits::close_connection;
use crate::{
    fapi,
    wire::{ApiError, ApiResult, ErrorCode},
};

/// The maximum size of a request body (INP-01).
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The maximum size of an image upload by the official components, with its form encoding.
const MAX_IMAGE_BYTES: usize = 11 * 1024 * 1024;

/// Time limits of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestTimeouts {
    /// For a complete body of any size.
    pub body: Duration,
    /// For a body before its rate is checked.
    pub grace: Duration,
    /// The minimum rate after that, averaged over the body so far.
    pub bytes_per_second: u32,
    /// For the handler, from the end of the body.
    pub handler: Duration,
}

impl Default for RequestTimeouts {
    fn default() -> Self {
        Self {
            body: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            bytes_per_second: 1024,
            handler: Duration::from_secs(15),
        }
    }
}

/// Reads the complete body before the next layer.
pub async fn read_whole(
    State(timeouts): State<RequestTimeouts>,
    mut request: Request,
    next: Next,
) -> Response {
    let body = std::mem::take(request.body_mut());
    let whole = match request.uri().path() {
        fapi::IMAGES => discard_image(body, &timeouts).await,
        _ => read(body, &timeouts).await,
    };
    match whole {
        Ok(body) => *request.body_mut() = body.into(),
        Err(error) => return close_connection(error.into_response()),
    }
    next.run(request).await
}

/// Aborts a handler that takes too long.
pub async fn limit_handler(
    State(timeouts): State<RequestTimeouts>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(timeouts.handler, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(ErrorCode::ServiceUnavailable)
            .why("The answer took too long. Try again.")
            .retry_after(1)
            .into_response(),
    }
}

/// Reads the complete body.
///
/// # Errors
/// `request_body_too_large`, `request_timeout`; `request_body_invalid` if the body is incomplete.
pub async fn read(body: Body, timeouts: &RequestTimeouts) -> ApiResult<Bytes> {
    let mut received = Vec::new();
    pull(body, MAX_BODY_BYTES, timeouts, |bytes| received.extend_from_slice(bytes)).await?;
    Ok(received.into())
}

/// Reads an image to its end and discards it: a browser that cannot finish an upload reports the
/// response as a network error.
///
/// # Errors
/// As [`read`].
pub async fn discard_image(body: Body, timeouts: &RequestTimeouts) -> ApiResult<Bytes> {
    pull(body, MAX_IMAGE_BYTES, timeouts, |_| ()).await?;
    Ok(Bytes::new())
}

async fn pull(
    body: Body,
    most: usize,
    timeouts: &RequestTimeouts,
    mut take: impl FnMut(&[u8]),
) -> ApiResult<()> {
    if body.size_hint().lower() > most as u64 {
        return Err(too_large(most));
    }
    let mut body = pin!(body);
    let mut received = 0;
    let mut allowance = pin!(tokio::time::sleep(timeouts.grace));
    let begun = allowance.deadline() - timeouts.grace;
    while !body.is_end_stream() {
        let frame = tokio::select! {
            biased;
            frame = poll_fn(|cx| body.as_mut().poll_frame(cx)) => frame,
            () = allowance.as_mut() => return Err(too_slow()),
        };
        let Some(frame) = frame else { break };
        // Trailers have no meaning here.
        let Ok(bytes) = frame.map_err(|_| broken())?.into_data() else { continue };
        received += bytes.len();
        if received > most {
            return Err(too_large(most));
        }
        take(&bytes);
        let earned = Duration::from_secs(1) * received as u32 / timeouts.bytes_per_second.max(1);
        allowance.as_mut().reset(begun + timeouts.body.min(timeouts.grace + earned));
    }
    Ok(())
}

fn too_large(most: usize) -> ApiError {
    ApiError::new(ErrorCode::RequestBodyTooLarge).why(format!("This body may have {} MiB.", most >> 20))
}

fn too_slow() -> ApiError {
    ApiError::new(ErrorCode::RequestTimeout)
        .why("The body of the request came too slowly, or stopped. Send it again.")
}

fn broken() -> ApiError {
    ApiError::new(ErrorCode::RequestBodyInvalid)
        .why("The body did not arrive whole: the connection ended, or a chunk is malformed.")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};

    use super::*;

    const SHORT: RequestTimeouts = RequestTimeouts {
        body: Duration::from_millis(400),
        grace: Duration::from_millis(150),
        bytes_per_second: 10_000,
        handler: Duration::from_millis(60),
    };

    /// A body of `pieces` pieces of `bytes` bytes, with a `pause` before each; the body ends only
    /// if `ends` is set.
    fn dripping(pieces: usize, bytes: usize, pause: Duration, ends: bool) -> Body {
        let pieces = stream::unfold(0, move |sent| async move {
            tokio::time::sleep(pause).await;
            (sent < pieces).then(|| (Ok::<_, Infallible>(Bytes::from(vec![b'a'; bytes])), sent + 1))
        });
        let silence = stream::iter((!ends).then_some(())).then(|()| std::future::pending());
        Body::from_stream(pieces.chain(silence))
    }

    async fn refusal(body: Body) -> ErrorCode {
        read(body, &SHORT).await.expect_err("refused").code()
    }

    #[tokio::test]
    async fn inp_02_a_body_that_stops_is_given_up() {
        assert_eq!(refusal(dripping(1, 10, Duration::ZERO, false)).await, ErrorCode::RequestTimeout);
    }

    #[tokio::test]
    async fn inp_02_a_body_that_drips_is_given_up_before_its_end() {
        let dripping = dripping(1000, 1, Duration::from_millis(10), true);
        assert_eq!(refusal(dripping).await, ErrorCode::RequestTimeout);
    }

    #[tokio::test]
    async fn inp_02_a_body_that_is_fast_but_endless_is_given_up() {
        let endless = dripping(1000, 300, Duration::from_millis(10), true);
        assert_eq!(refusal(endless).await, ErrorCode::RequestTimeout);
    }

    #[tokio::test]
    async fn a_body_in_good_time_is_read_whole() {
        // Longer than the grace, but its rate is high enough.
        let steady = dripping(8, 1000, Duration::from_millis(25), true);
        assert_eq!(read(steady, &SHORT).await.expect("read").len(), 8000);
        assert_eq!(read(Body::empty(), &SHORT).await.expect("read").len(), 0);
    }

    #[tokio::test]
    async fn inp_01_a_large_body_is_refused_with_and_without_a_length() {
        let much = vec![b'a'; MAX_BODY_BYTES + 1];
        assert_eq!(refusal(much.into()).await, ErrorCode::RequestBodyTooLarge);
        let chunks = dripping(2, MAX_BODY_BYTES / 2 + 1, Duration::ZERO, true);
        assert_eq!(refusal(chunks).await, ErrorCode::RequestBodyTooLarge);
        let most = vec![b'a'; MAX_BODY_BYTES];
        assert_eq!(read(most.into(), &SHORT).await.expect("read").len(), MAX_BODY_BYTES);
    }
}
