//! The id of the current request: in every log line about it, and in its error.

use std::fmt;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// 128 random bits. The id identifies no user and grants no access.
#[derive(Clone, Copy)]
pub struct RequestId([u8; 16]);

impl RequestId {
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        // Without randomness ids repeat, but requests are still served.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        Self(bytes)
    }

    /// The id of the request that the current task handles, or a new one outside requests.
    pub fn current() -> Self {
        CURRENT.try_with(|id| *id).unwrap_or_else(|_| Self::random())
    }

    /// Runs `answer` with this id as the current request.
    pub async fn scope<T>(self, answer: impl Future<Output = T>) -> T {
        CURRENT.scope(self, answer).await
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
